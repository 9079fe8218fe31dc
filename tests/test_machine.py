"""What the machine tells of itself."""

from __future__ import annotations

from nnx import machine
from nnx.interface import host_memory


def test_free_memory_is_some_of_all_that_there_is() -> None:
    total = host_memory().total
    assert 0 <= machine.free_memory() <= total
    assert machine.free_memory() > 0 or not total
