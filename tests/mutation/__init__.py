"""Small faults in one module of nnx, each given to that module's tests; see `python -m tests.mutation --help`."""
