"""No file, however damaged or hostile, makes a reader crash, hang, swell or raise what it does not document.

Here is a small fixed set; `python -m tests.fuzz --count 100000` goes through as many as one likes, and
`benchmarks/results/trust.md` says what the last such run found.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import nnx
from nnx.cli.images import SCAN_LIMIT, read_image
from nnx.datasets.series import read_monthly
from nnx.errors import ChecksumError, FileFormatError, OptionError, VersionError
from tests.fuzz.hdf5_files import seal
from tests.fuzz.readers import READERS, SLOW
from tests.fuzz.whole_files import dense_model

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits of the child process are those of Linux")

PER_READER = 40


@linux
def test_a_fixed_set_of_damaged_and_hostile_files_is_read_or_refused() -> None:
    from tests.fuzz.processes import fuzz

    quick = [name for name in READERS if name not in SLOW]
    for names, count in ((quick, PER_READER), (list(SLOW), PER_READER // 5)):
        tally = fuzz(names, range(count))
        assert tally.findings == {}
        assert sum(tally.outcomes.values()) == count * len(names)
        for name in names:
            assert tally.outcomes[name, "refused"] > 0, f"nothing done to the files of {name!r} mattered"


@linux
def test_a_reader_that_crashes_hangs_or_swells_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness itself: a case whose process dies is a finding, and the next one runs."""
    from tests.fuzz import processes

    faults = "import os, signal, sys; done = int(sys.argv[1]); print('read', flush=True);"
    faults += "os.kill(os.getpid(), signal.SIGSEGV if done == 0 else signal.SIGPROF)"
    real = processes.subprocess.Popen

    def spawn(command: list[str], **options: object) -> object:
        return real([sys.executable, "-c", faults, command[-1]], **options)

    monkeypatch.setattr(processes.subprocess, "Popen", spawn)
    tally = processes.fuzz(["idx"], range(4))
    assert tally.findings == {
        ("idx", 1): "ended the process with SIGSEGV",
        ("idx", 3): "took more than 5 s",
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.h5"
    dense_model().save(path)
    return path


def forge(path: Path, change: Callable[[dict], None]) -> None:
    """Change a model's configuration, and seal it with the right checksum."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file["config"][...].tobytes())
        change(config)
        seal(file, "config", np.frombuffer(json.dumps(config).encode(), np.uint8))


def dense(units: int) -> dict[str, object]:
    return {"type": "Dense", "options": {"units": units}}


def test_layers_larger_than_their_file_are_refused_before_anything_is_allocated(saved: Path) -> None:
    forge(saved, lambda config: config.update(layers=[dense(10**5), dense(10**5)]))
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="more values than there is room for"):
            nnx.load(saved, backend="numpy")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layers", [[{"type": "Flatten", "options": {}}] * 20_000], ids=["twenty thousand layers"])
def test_as_many_layers_as_a_configuration_holds_are_refused_in_seconds(saved: Path, layers: list[object]) -> None:
    forge(saved, lambda config: config.update(layers=layers))
    began = time.process_time()
    with pytest.raises(FileFormatError, match="do not fit together"):
        nnx.load(saved, backend="numpy")
    assert time.process_time() - began < 4


def test_layers_within_layers_without_end_are_refused(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        config = json.loads(file["config"][...].tobytes())
        text = json.dumps({**config, "layers": "here"})
        layers = '[{"type": "Residual", "options": {"layers": ' * 5000 + "[]" + "}}]" * 5000
        seal(file, "config", np.frombuffer(text.replace('"here"', layers).encode(), np.uint8))
    with pytest.raises(FileFormatError, match="recursion"):
        nnx.load(saved, backend="numpy")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": ' + "1" * 5000 + "}", "nul", '"text"', ""])
def test_a_configuration_that_is_no_json_object_is_refused(saved: Path, text: str) -> None:
    with h5py.File(saved, "r+") as file:
        seal(file, "config", np.frombuffer(text.encode(), np.uint8))
    with pytest.raises(FileFormatError, match="config"):
        nnx.load(saved, backend="numpy")


def test_what_a_caller_can_act_on_has_an_error_of_its_own(saved: Path, tmp_path: Path) -> None:
    damaged, newer = tmp_path / "damaged.h5", tmp_path / "newer.h5"
    for path in (damaged, newer):
        path.write_bytes(saved.read_bytes())
    with h5py.File(damaged, "r+") as file:
        file["values"][0] += 1
    with h5py.File(newer, "r+") as file:
        file.attrs["version"] = 3
    with pytest.raises(ChecksumError, match="do not have their checksum"):
        nnx.load(damaged)
    with pytest.raises(VersionError, match="expected version 2, got 3"):
        nnx.load(newer)


@pytest.mark.parametrize("extra", [b"", b"\0" * 100])
def test_a_file_of_another_length_than_it_says_is_refused(saved: Path, extra: bytes) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data + extra if extra else data[:-1])
    with pytest.raises(FileFormatError, match=f"it should have {len(data)} bytes, but has"):
        nnx.load(saved)


def test_a_name_or_value_of_thousands_of_characters_is_cut_in_the_message(saved: Path) -> None:
    forge(saved, lambda config: config["layers"][0].update(type="x\x1b[2J" * 10_000))
    with pytest.raises(FileFormatError) as caught:
        nnx.load(saved, backend="numpy")
    assert len(str(caught.value)) < 1500
    assert str(caught.value).isprintable()


def test_weights_of_a_larger_model_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", 2) + b"{}" + bytes(2_000_000))
    with pytest.raises(FileFormatError, match="bytes for the weights of this model, got 2,000,010"):
        dense_model().load_weights(path)


def test_a_number_of_a_hundred_thousand_digits_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text(f"Month,Passengers\n1949-01,{'1' * 130_000}x\n")
    began = time.process_time()
    with pytest.raises(FileFormatError, match="line 2: expected a month"):
        read_monthly(path, ("Month", "Passengers"))
    assert time.process_time() - began < 1


def test_a_small_jpeg_of_thousands_of_scans_is_not_decoded(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    path = tmp_path / "scans.jpg"
    path.write_bytes(data[:end] + data[start:end] * SCAN_LIMIT + data[end:])
    with pytest.raises(FileFormatError, match="expected at most 100 scans, got 110"):
        read_image(path, (8, 8, 3))
    path.write_bytes(data)
    assert read_image(path, (8, 8, 3)).shape == (8, 8, 3)


def test_a_picture_that_announces_gigabytes_gets_no_room_for_them(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    data = file.getvalue()
    path = tmp_path / "large.png"
    place = data.index(b"IDAT") - 4
    path.write_bytes(data[:place] + struct.pack(">I", 500_000_000) + data[place + 4 :])
    tracemalloc.start()
    try:
        assert read_image(path, (8, 8, 1)).shape == (8, 8, 1)  # its pixels are whole
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "{a=" * 5000, "layers = [" + "1," * 10_000 + "]"])
def test_a_configuration_too_deep_or_too_large_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=r"not a readable TOML file|may have 16,384 bytes"):
        READERS["toml"].read(path)


def test_a_gzip_file_of_thousands_of_parts_is_read_like_one(tmp_path: Path) -> None:
    path, body = tmp_path / "many.gz", struct.pack(">I3I", 2051, 2, 3, 4) + bytes(24)
    path.write_bytes(
        b"".join(gzip.compress(body[place : place + 1]) for place in range(40)) + gzip.compress(b"") * 5000
    )
    assert READERS["idx"].read(path) == bytes(24)
