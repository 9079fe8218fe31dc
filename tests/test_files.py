"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from nnx.errors import FileFormatError, OptionError
from nnx.files import check_model_target, check_readable, check_target, replacing


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


locked = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot rename files that are open and locked")


def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced(tmp_path):
    real, link = tmp_path / "folder" / "real.h5", tmp_path / "link.h5"
    real.parent.mkdir()
    link.symlink_to(real)
    for contents in ("made", "replaced"):  # the link may lead to what does not exist yet
        with replacing(check_target(link)) as part:
            part.write_text(contents)
            assert part.parent == real.parent
        assert link.is_symlink()
        assert real.read_text() == contents
    assert list(real.parent.iterdir()) == [real]


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_is_refused_and_left(tmp_path, through_a_link):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    if through_a_link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    for write in (check_target, lambda target: replacing(target).__enter__()):
        with pytest.raises(OptionError, match="path must name a file, got the pipe"):
            write(path)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_an_endless_link_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "link")
    with pytest.raises(OptionError, match="got the endless link"):
        check_target(tmp_path / "link")


@pytest.mark.parametrize("name", ["model.png", "run.txt", "weights.safetensors", "MODEL.NPZ"])
def test_a_model_under_the_ending_of_another_format_is_refused(tmp_path, name):
    with pytest.raises(OptionError, match=r"--save must end in \.h5, .*\. Give '\w+\.h5'\."):
        check_model_target(tmp_path / name, "--save")


@pytest.mark.parametrize("name", ["model.h5", "model.HDF5", "model", "model.of.today"])
def test_a_model_may_have_its_own_endings_and_unknown_ones(tmp_path, name):
    assert check_model_target(tmp_path / name) == tmp_path / name


@locked
def test_what_killed_saves_left_behind_is_gone_after_the_next(tmp_path):
    target = tmp_path / "run.h5"
    for name in ("abcdef01", "01234567"):
        (tmp_path / f".run.h5.{name}.part").write_text("half")
    with replacing(target) as part:
        part.write_text("new")
    assert list(tmp_path.iterdir()) == [target]


def test_what_others_are_writing_to_the_same_file_is_not_taken_for_a_leftover(tmp_path):
    target = tmp_path / "run.h5"
    with replacing(target) as first:
        first.write_text("first")
        with replacing(target) as second:
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    "name", [".run.h5.part", ".run.h5.abc.part", ".run_h5.abcdef01.part", "run.h5.abcdef01.part"]
)
def test_files_of_similar_names_are_left_alone(tmp_path, name):
    (tmp_path / name).write_text("theirs")
    with replacing(tmp_path / "run.h5"):
        pass
    assert (tmp_path / name).read_text() == "theirs"


@locked
def test_a_file_that_was_taken_for_a_leftover_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    target, make, made = tmp_path / "run.h5", os.open, []

    def make_and_lose_the_first(path, flags, *mode):
        handle = make(path, flags, *mode)
        if flags & os.O_EXCL:
            made.append(path)
            if len(made) == 1:
                Path(path).unlink()
        return handle

    monkeypatch.setattr(os, "open", make_and_lose_the_first)
    with replacing(target) as part:
        part.write_text("new")
    assert target.read_text() == "new"
    assert len(made) == 2


@locked
def test_leftovers_that_cannot_be_removed_do_not_hinder_a_save(tmp_path, monkeypatch):
    leftover, unlink = tmp_path / ".run.h5.abcdef01.part", Path.unlink
    leftover.write_text("half")

    def refuse(path, **options):
        if path == leftover:
            raise PermissionError(13, "Permission denied")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    with replacing(tmp_path / "run.h5") as part:
        part.write_text("new")
    assert (tmp_path / "run.h5").read_text() == "new"


@locked
def test_a_disk_without_locks_keeps_leftovers_since_they_could_be_in_use(tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    leftover = tmp_path / ".run.h5.abcdef01.part"
    leftover.write_text("half")
    with replacing(tmp_path / "run.h5") as part:
        part.write_text("new")
    assert (tmp_path / "run.h5").read_text() == "new"
    assert leftover.exists()


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


def test_what_is_there_but_no_file_is_not_called_missing(tmp_path):
    with pytest.raises(FileFormatError, match=r"it is a folder, not a file\. Give"):
        check_readable(tmp_path, "Give another.")
    with pytest.raises(FileFormatError, match="there is no such file"):
        check_readable(tmp_path / "absent", "")
