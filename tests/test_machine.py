"""What the computer tells of its memory, with and without the files that tell most."""

from __future__ import annotations

import os

import pytest

from nnx.interface import Memory, host, host_memory

FILES = ("MemTotal: 2048 kB\nMemFree: 3 kB\nMemAvailable:  1024 kB\n", "MemTotal: 2048 kB\nMemFree: 3 kB\n", None)


def told(monkeypatch: pytest.MonkeyPatch, text: str | None, pages: bool) -> Memory:
    """Return what is told where /proc/meminfo holds this, or is not there, and where the system counts pages."""

    def read(_path: object, **_options: object) -> str:
        if text is None:
            raise FileNotFoundError
        return text

    def count(name: str) -> int:
        if not pages:
            raise ValueError(name)
        return {"SC_PAGE_SIZE": 4096, "SC_AVPHYS_PAGES": 5, "SC_PHYS_PAGES": 9}[name]

    monkeypatch.setattr(host.Path, "read_text", read)
    monkeypatch.setattr(os, "sysconf", count)
    return host._of_computer()


def test_free_memory_is_some_of_all_that_there_is() -> None:
    free, total = host_memory()
    assert free is None or 0 < free <= total


def test_caches_that_can_be_given_up_count_as_free_where_the_system_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, FILES[0], pages=True) == Memory(2**20, 2**21)


@pytest.mark.parametrize("text", FILES[1:])
def test_pages_are_counted_where_nothing_better_is_told(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    assert told(monkeypatch, text, pages=True) == Memory(5 * 4096, 9 * 4096)
    assert told(monkeypatch, text, pages=False) == Memory(None, 0)
