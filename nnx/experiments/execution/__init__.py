"""Running rows from seeds: in processes, kept on disk, gone on with."""
