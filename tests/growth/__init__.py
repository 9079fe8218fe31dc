"""What a process gathers over thousands of fits and saves: memory, open files, threads, objects."""
