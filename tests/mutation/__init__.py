"""Small faults in one module of nnx, each given to the tests of that module; see `python -m tests.mutation --help`."""
