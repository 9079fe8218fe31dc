"""The files around the code: what is built from it, and what tells others how to work on it."""
