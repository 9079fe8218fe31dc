"""All laws."""

from tests.properties import elementwise, general, linear, running, sequences, windows
from tests.properties.laws import LAWS

__all__ = ["LAWS", "elementwise", "general", "linear", "running", "sequences", "windows"]
