"""The forward and backward passes as plain functions, for teaching."""
