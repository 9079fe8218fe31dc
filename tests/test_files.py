"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from nnx.files import replacing


def test_the_new_contents_take_the_place_of_the_old_ones(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with replacing(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_the_old_contents_and_no_other_file(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_rename_that_fails_leaves_the_old_contents(tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_text("old")

    def refuse(*_: object) -> None:
        raise OSError("disk gone")

    monkeypatch.setattr("pathlib.Path.replace", refuse)

    def write() -> None:
        with replacing(target) as part:
            part.write_text("new")

    with pytest.raises(OSError, match="disk gone"):
        write()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_has_the_permissions_that_others_get(tmp_path):
    with replacing(tmp_path / "file") as part:
        part.write_text("new")
    (tmp_path / "plain").write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "plain")]
    assert modes[0] == modes[1]


def test_the_umask_of_other_threads_is_never_touched(tmp_path, monkeypatch):
    def touch(_mask: int) -> int:
        raise AssertionError("two threads that set it at once can leave it at 0 for good")

    former = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", touch)
        with replacing(tmp_path / "file") as part:
            part.write_text("new")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    finally:
        monkeypatch.undo()
        os.umask(former)
