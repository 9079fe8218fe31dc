"""Training that is killed at random moments and gone on with; see `python -m tests.kills --help`."""
