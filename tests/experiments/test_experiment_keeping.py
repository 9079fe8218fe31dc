"""Results on disk: what comes back is what was kept, or nothing."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nnx.errors import StorageError
from nnx.experiments import Curve, Result
from nnx.experiments.execution import keeping
from nnx.experiments.execution.keeping import Done, Kept

KEY = {"experiment": "toy", "row": "first", "seed": 3, "backend": "numpy", "settings": "Toy(value=1.0)"}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def full() -> Result:
    return Result(
        {"accuracy": 0.1, "cost": math.inf, "gap": -math.inf, "undefined": math.nan, "epochs": 7},
        {"cost": Curve([0.0, 1.5], [math.nan, 1 / 3])},
        {
            "counts": np.array([[3, 0], [1, 2]], np.int64),
            "weights": np.array([[0.1, np.nan, -np.inf]], np.float32),
            "mask": np.array([True, False]),
            "one": np.array(2.5),
        },
    )


def done(result: Result) -> Done:
    return Done(result, 2, 1, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_a_result_comes_back_to_the_last_bit_even_if_it_is_not_finite(kept: Kept) -> None:
    assert kept.find(KEY) is None
    kept.keep(KEY, done(full()))
    found, wanted = kept.find(KEY).result, full()
    assert repr(dict(found.figures)) == repr(dict(wanted.figures))
    assert repr(found.curves) == repr(wanted.curves)
    assert list(found.arrays) == list(wanted.arrays)
    for name, array in wanted.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_how_a_result_was_made_is_kept_with_it_and_its_seed_is_that_of_the_key(kept: Kept) -> None:
    kept.keep(KEY, done(full()))
    found = kept.find(KEY)
    assert (found.jobs, found.threads, found.date) == (2, 1, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert found.result.seed == KEY["seed"]


def test_files_are_json_that_any_program_reads(kept: Kept) -> None:
    kept.keep(KEY, done(full()))
    refused = pytest.fail
    stored = json.loads(kept.path(KEY).read_text(), parse_constant=lambda word: refused(f"{word} is no JSON"))
    assert stored["key"] == KEY
    assert stored["result"]["figures"]["undefined"] == "nan"


def test_figures_of_numpy_are_kept_as_numbers(kept: Kept) -> None:
    kept.keep(KEY, done(Result({"accuracy": np.float32(0.5), "epochs": np.int64(7), "cost": np.float32("nan")})))
    assert repr(kept.find(KEY).result.figures) == "{'accuracy': 0.5, 'epochs': 7, 'cost': nan}"


@pytest.mark.parametrize("part", KEY)
def test_a_result_of_another_key_is_not_used_even_in_the_right_place(kept: Kept, part: str) -> None:
    other = {**KEY, part: 4 if part == "seed" else "something else"}
    kept.keep(other, done(full()))
    assert kept.find(KEY) is None
    kept.path(other).replace(kept.path(KEY))
    assert kept.find(KEY) is None
    kept.keep(KEY, done(full()))
    assert kept.find(KEY) is not None


DAMAGE: dict[str, Callable[[str], str]] = {
    "cut short": lambda text: text[: len(text) // 2],
    "empty": lambda _: "",
    "one digit changed": lambda text: text.replace("0.1,", "0.2,", 1),
    "a list": lambda _: "[1, 2, 3]",
    "a number": lambda _: "1",
    "nested too deep": lambda _: "[" * 100_000,
    "not text": lambda text: text.replace("first", "\udcff"),
    "no result": lambda text: json.dumps({"key": json.loads(text)["key"]}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_as_good_as_none_and_gives_way(kept: Kept, damage: Callable[[str], str]) -> None:
    kept.keep(KEY, done(full()))
    text = kept.path(KEY).read_text()
    damaged = damage(text)
    assert damaged != text
    kept.path(KEY).write_bytes(damaged.encode(errors="surrogateescape"))
    assert kept.find(KEY) is None
    kept.keep(KEY, done(full()))
    assert kept.find(KEY) is not None


def curve(steps: object, values: object) -> dict[str, object]:
    return {"curves": {"cost": {"steps": steps, "values": values}}}


def array(values: object, dtype: str) -> dict[str, object]:
    return {"arrays": {"weights": {"dtype": dtype, "shape": [1], "values": values}}}


FOREIGN: dict[str, dict[str, object]] = {
    "no figures": {"figures": {}},
    "figures in a list": {"figures": []},
    "a word": {"figures": {"accuracy": "high"}},
    "a number beyond all others": {"figures": {"accuracy": 10**400}},
    "a number of too many digits": {"figures": {"accuracy": 10**4000}},
    "a curve of unequal parts": curve([0.0, 1.0], [1.0]),
    "a curve without a value": curve([0.0], [None]),
    "a curve of words": curve("", ""),
    "a curve of mappings": curve({}, {}),
    "a curve backwards": curve([1.0, 0.0], [1.0, 2.0]),
    "a curve over nothing": curve(["nan"], [1.0]),
    "a step beyond all numbers": curve([10**400], [1.0]),
    "a curve with a third part": {"curves": {"cost": {"steps": [0], "values": [0], "more": [0]}}},
    "an array of words": array(["a"], "str"),
    "an array of objects": array([None], "object"),
    "an array of what does not fit": array([10**30], "int64"),
    "an array of what becomes infinite": array([1e300], "float32"),
    "a larger array": array([1.0, 2.0], "float32"),
    "arrays in a list": {"arrays": []},
}


def write(kept: Kept, **parts: object) -> None:
    """Write a file whose key and checksum are right, whatever else is in it."""
    whole = {"result": full().to_json(), "made": {"jobs": 1, "threads": 1, "date": "2026-01-02T03:04:05+00:00"}}
    stored = keeping._each_number(keeping._spell, {**whole, **parts})
    checksum = keeping._checksum(stored["result"], stored["made"])
    kept.path(KEY).write_text(json.dumps({"key": KEY, **stored, "sha256": checksum}))


@pytest.mark.parametrize("part", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_no_run_can_have_measured_is_not_used(kept: Kept, part: dict[str, object]) -> None:
    write(kept)
    assert kept.find(KEY) is not None
    write(kept, result={**full().to_json(), **part})
    assert kept.find(KEY) is None


@pytest.mark.parametrize(
    "made",
    [
        {},
        [],
        {"jobs": 0, "threads": 1, "date": "2026-01-02T03:04:05+00:00"},
        {"jobs": 1, "threads": "1", "date": "2026-01-02T03:04:05+00:00"},
        {"jobs": 1, "threads": 1, "date": "yesterday"},
        {"jobs": 1, "threads": 1, "date": 5},
    ],
)
def test_a_result_that_does_not_tell_how_it_was_made_is_not_used(kept: Kept, made: object) -> None:
    write(kept, made=made)
    assert kept.find(KEY) is None


def test_what_is_no_file_or_far_too_large_is_not_even_opened(kept: Kept) -> None:
    path = kept.path(KEY)
    path.mkdir()
    assert kept.find(KEY) is None
    path.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)  # whoever opens it waits until somebody writes
        assert kept.find(KEY) is None
        path.unlink()
    write(kept)
    with path.open("ab") as file:
        file.truncate(2**40)  # of which the disk holds only what was written
    assert kept.find(KEY) is None


def test_names_of_rows_are_told_apart_and_stay_in_the_folder(kept: Kept) -> None:
    rows = [
        "He",
        "he",
        "lambda = 0.1",
        "lambda: 0.1",
        "../../outside",
        "λ",
        "σ",
        "",
        "x" * 500,
        "CON",
        "a/b",
        "a\\b",
    ]
    keys = [{**KEY, "row": row} for row in rows]
    for number, key in enumerate(keys):
        kept.keep(key, done(Result({"number": number})))
    assert [kept.find(key).result.figures["number"] for key in keys] == list(range(len(rows)))
    names = [path.name for path in kept.folder.iterdir()]
    assert len({name.lower() for name in names}) == len(rows)
    assert all(name.isascii() and len(name) < 128 for name in names)


def test_engines_and_seeds_have_files_of_their_own(kept: Kept) -> None:
    paths = {
        kept.path({**KEY, "backend": name, "seed": seed}) for name in ("numpy", "generic:numpy") for seed in (1, 11)
    }
    assert len(paths) == 4


def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(KEY, done(full()))

    def write_some(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text[:100].encode(encoding))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_text", write_some)
    other = {**KEY, "row": "second"}
    with pytest.raises(
        StorageError, match=r"The result of 'second', seed 3, could not be kept in .*: No space left"
    ):
        kept.keep(other, done(full()))
    with pytest.raises(StorageError, match="make room for it, and run the same command again to go on"):
        kept.keep(KEY, done(Result({})))
    assert kept.find(other) is None
    assert kept.find(KEY).result.figures["epochs"] == 7
    assert [path.name for path in kept.folder.iterdir()] == [kept.path(KEY).name]
