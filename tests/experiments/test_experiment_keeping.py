"""Results on disk: what comes back is what was kept, or nothing."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnx.errors import StorageError
from nnx.experiments import Curve, Result
from nnx.experiments.execution.keeping import Kept

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


def test_a_result_comes_back_to_the_last_bit_even_if_it_is_not_finite(kept: Kept) -> None:
    assert kept.find(KEY) is None
    kept.keep(KEY, full())
    found, wanted = kept.find(KEY), full()
    assert repr(dict(found.figures)) == repr(dict(wanted.figures))
    assert repr(found.curves) == repr(wanted.curves)
    assert list(found.arrays) == list(wanted.arrays)
    for name, array in wanted.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_files_are_json_that_any_program_reads(kept: Kept) -> None:
    kept.keep(KEY, full())
    refused = pytest.fail
    stored = json.loads(kept.path(KEY).read_text(), parse_constant=lambda word: refused(f"{word} is no JSON"))
    assert stored["key"] == KEY
    assert stored["result"]["figures"]["undefined"] == "nan"


def test_figures_of_numpy_are_kept_as_numbers(kept: Kept) -> None:
    kept.keep(KEY, Result({"accuracy": np.float32(0.5), "epochs": np.int64(7), "cost": np.float32("nan")}))
    assert repr(kept.find(KEY).figures) == "{'accuracy': 0.5, 'epochs': 7, 'cost': nan}"


@pytest.mark.parametrize("part", KEY)
def test_a_result_of_another_key_is_not_used_even_in_the_right_place(kept: Kept, part: str) -> None:
    other = {**KEY, part: 4 if part == "seed" else "something else"}
    kept.keep(other, full())
    assert kept.find(KEY) is None
    kept.path(other).replace(kept.path(KEY))
    assert kept.find(KEY) is None
    kept.keep(KEY, full())
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
    kept.keep(KEY, full())
    text = kept.path(KEY).read_text()
    damaged = damage(text)
    assert damaged != text
    kept.path(KEY).write_bytes(damaged.encode(errors="surrogateescape"))
    assert kept.find(KEY) is None
    kept.keep(KEY, full())
    assert kept.find(KEY) is not None


@pytest.mark.parametrize(
    "result",
    [
        Result({"accuracy": "high"}),
        Result({}, {"cost": Curve([0.0, 1.0], [1.0])}),
        Result({}, {"cost": Curve([0.0], [None])}),
        Result({}, {}, {"words": np.array(["a", "b"])}),
    ],
    ids=["word", "curve of unequal parts", "curve without a value", "array of words"],
)
def test_what_no_run_can_have_measured_is_not_used(kept: Kept, result: Result) -> None:
    kept.keep(KEY, result)
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
        kept.keep(key, Result({"number": number}))
    assert [kept.find(key).figures["number"] for key in keys] == list(range(len(rows)))
    names = [path.name for path in kept.folder.iterdir()]
    assert len({name.lower() for name in names}) == len(rows)
    assert all(name.isascii() and len(name) < 128 for name in names)


def test_engines_and_seeds_have_files_of_their_own(kept: Kept) -> None:
    paths = {
        kept.path({**KEY, "backend": name, "seed": seed}) for name in ("numpy", "generic:numpy") for seed in (1, 11)
    }
    assert len(paths) == 4


def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(KEY, full())

    def write_some(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text[:100].encode(encoding))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_text", write_some)
    other = {**KEY, "row": "second"}
    with pytest.raises(
        StorageError, match=r"The result of 'second', seed 3, could not be kept in .*: No space left"
    ):
        kept.keep(other, full())
    with pytest.raises(StorageError, match="make room, and run the same command again to go on"):
        kept.keep(KEY, Result({}))
    assert kept.find(other) is None
    assert kept.find(KEY).figures["epochs"] == 7
    assert [path.name for path in kept.folder.iterdir()] == [kept.path(KEY).name]
