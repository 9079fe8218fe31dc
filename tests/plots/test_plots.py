"""Pictures as files and as part of nnx: what is loaded, what is written, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import nnx
from nnx import History, plots
from nnx.errors import DataError, DtypeError, NnxError, OptionError, ShapeError, UnknownNameError

ROOT = Path(nnx.__file__).resolve().parent.parent
IMAGES = np.random.default_rng(1).random((4, 8, 8, 1))
MODEL = nnx.Sequential([nnx.Dense(3, "tanh"), nnx.Dense(1)]).compile("mean_squared_error")
RUN = ([0, 1, 2], [0.7, 0.4, 0.01])

DRAWERS: dict[str, Callable[..., Figure]] = {
    "history": lambda path: History({"loss": [0.7, 0.5], "val_loss": [0.8, 0.7]}).plot(path, title="A $run$"),
    "learning_curves": lambda path: plots.learning_curves({"a": [RUN, RUN]}, path, published={"a": 0.1}),
    "accuracy_bars": lambda path: plots.accuracy_bars({"a": {"x": [0.5, 0.7]}}, path, published={"a": {"x": 0.6}}),
    "weight_histograms": lambda path: plots.weight_histograms({"a": {"1": IMAGES}}, path),
    "weight_differences": lambda path: plots.weight_differences({"1": IMAGES[0, 0]}, {"1": IMAGES[1, 1]}, path),
    "confusion_matrix": lambda path: plots.confusion_matrix([[1, 2], [3, 4]], ["a", "b"], path),
    "misclassified": lambda path: plots.misclassified(IMAGES, [0] * 4, [1] * 4, ["a", "b"], path),
    "difference": lambda path: plots.difference(
        nnx.diff(MODEL, ([[0.0, 1.0]], [[2.0]]), "numpy", "generic:numpy"), path
    ),
}


def python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_plots_are_at_hand_without_matplotlib_and_say_what_to_install() -> None:
    told = python("""
import json, sys, nnx
loaded = "matplotlib" in sys.modules
sys.modules["matplotlib"] = None
told = []
for draw in (lambda: nnx.History({"loss": [1.0]}).plot(), lambda: nnx.plots.confusion_matrix([[1]], ["a"])):
    try:
        draw()
    except nnx.errors.NnxError as error:
        told.append(str(error))
print(json.dumps([loaded, told]))
""")
    sentence = (
        "matplotlib is needed for pictures, and is not installed: python -m pip install 'nnx-framework[plot]', or "
        "'.[plot]' in a checkout."
    )
    assert json.loads(told) == [False, [sentence, sentence]]


def test_drawing_loads_no_pyplot_changes_no_settings_and_gives_the_bytes_of_every_other_process(tmp_path) -> None:
    state = python(f"""
import json, sys
import matplotlib
before = matplotlib.rcParams.copy()
import nnx
for ending in ("png", "svg", "pdf"):
    nnx.History({{"loss": [0.7, 0.5], "val_loss": [0.8, 0.7]}}).plot({str(tmp_path)!r} + "/other." + ending)
print(json.dumps(["matplotlib.pyplot" in sys.modules, before == matplotlib.rcParams.copy()]))
""")
    assert json.loads(state) == [False, True]
    for ending in ("png", "svg", "pdf"):
        path = tmp_path / f"mine.{ending}"
        History({"loss": [0.7, 0.5], "val_loss": [0.8, 0.7]}).plot(path)
        assert path.read_bytes() == (tmp_path / f"other.{ending}").read_bytes()


@pytest.mark.parametrize("name", DRAWERS)
def test_the_same_input_gives_the_same_file_whatever_the_user_has_set(name: str, tmp_path: Path) -> None:
    DRAWERS[name](tmp_path / "first.png")
    DRAWERS[name](str(tmp_path / "first.svg"))
    mine = {"axes.facecolor": "black", "font.size": 30, "font.family": ["serif"], "lines.linewidth": 9}
    with matplotlib.rc_context({**mine, "savefig.bbox": "tight", "svg.fonttype": "none", "axes.grid": True}):
        figure = DRAWERS[name](tmp_path / "second.PNG")
        DRAWERS[name](tmp_path / "second.svg")
    assert isinstance(figure, Figure)
    png, svg = (tmp_path / "first.png").read_bytes(), (tmp_path / "first.svg").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert (tmp_path / "second.PNG").read_bytes() == png
    assert (tmp_path / "second.svg").read_bytes() == svg
    assert b"<dc:date>" not in svg
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "first.png",
        "first.svg",
        "second.PNG",
        "second.svg",
    ]


@pytest.mark.parametrize("name", DRAWERS)
def test_a_figure_that_is_written_later_looks_like_the_file_written_at_once(name: str, tmp_path: Path) -> None:
    DRAWERS[name](tmp_path / "now.png")
    figure = DRAWERS[name](None)
    mine = {"grid.color": "red", "xtick.labelsize": 30, "ytick.labelsize": 30, "text.color": "red"}
    with matplotlib.rc_context(mine):
        figure.savefig(tmp_path / "later.png", metadata={"Software": None})
    assert (tmp_path / "later.png").read_bytes() == (tmp_path / "now.png").read_bytes()


def test_every_function_of_the_module_is_tested_here() -> None:
    assert set(DRAWERS) == set(plots.__all__) - {"confusion_counts"}  # which draws nothing


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("curve.jpg", "path must end in .png, .svg or .pdf, got 'curve.jpg'."),
        ("curve", "path must end in .png, .svg or .pdf, got 'curve'."),
        (
            "no/such/folder/a.png",
            r"path must lie in a folder that exists, got 'no/such/folder/a.png'; make 'no/such/folder' first.",
        ),
        (3, "path must be a text or a pathlib.Path, got 3."),
    ],
)
def test_a_path_that_cannot_be_written_is_refused(path: Any, said: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=re.escape(said)):
        History({"loss": [1.0]}).plot(path)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OptionError, match=r"path must name a file, got the folder '.*a.png'"):
        History({"loss": [1.0]}).plot(tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_full_disk_leaves_the_old_picture_and_nothing_else(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")

    def fill(_: Figure, part: Path, **__: object) -> None:
        part.write_text("half a pict")
        raise OSError(errno.ENOSPC, "No space left on device", str(part))

    monkeypatch.setattr(Figure, "savefig", fill)
    with pytest.raises(OptionError, match=r"a.png' cannot be written: No space left on device\.$"):
        History({"loss": [1.0]}).plot(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_settings_are_restored_after_an_error(tmp_path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before = matplotlib.rcParams.copy()  # without asking for the backend, which would load pyplot
    with monkeypatch.context() as patch:
        patch.setattr(Figure, "savefig", fail)
        with pytest.raises(KeyboardInterrupt):
            History({"loss": [1.0]}).plot(tmp_path / "a.png")
    assert matplotlib.rcParams.copy() == before
    assert History({"loss": [1.0]}).plot().axes  # and the next picture need not wait for the last one


def test_threads_that_draw_at_once_leave_the_settings_and_draw_what_one_would(tmp_path) -> None:
    before = matplotlib.rcParams.copy()
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(DRAWERS["history"], paths))
    assert matplotlib.rcParams.copy() == before
    assert len({path.read_bytes() for path in paths}) == 1


def curves(value: Any, **options: Any) -> Callable[[], Figure]:
    return lambda: plots.learning_curves(value, **options)


def bars(value: Any, **options: Any) -> Callable[[], Figure]:
    return lambda: plots.accuracy_bars(value, **options)


def matrix(counts: Any, classes: Any = ("a", "b")) -> Callable[[], Figure]:
    return lambda: plots.confusion_matrix(counts, classes)


def sheet(images: Any = IMAGES, labels: Any = (0,) * 4, predictions: Any = (1,) * 4, **options: Any) -> Any:
    return lambda: plots.misclassified(images, labels, predictions, ["a", "b"], **options)


def differences(first: Any, second: Any) -> Callable[[], Figure]:
    return lambda: plots.weight_differences(first, second)


REFUSED: list[tuple[Callable[[], Figure], type[NnxError], str]] = [
    (lambda: plots.history(History()), DataError, "got an empty mapping: there is nothing to draw."),
    (
        lambda: plots.history({"loss": [np.nan]}),
        DataError,
        "history must hold a measurement that is finite",
    ),
    (
        lambda: plots.history({"loss": [[1.0]]}),
        ShapeError,
        "history['loss'] must have shape (epochs,), got (1, 1).",
    ),
    (lambda: plots.history([0.5]), OptionError, "history must be a mapping from names to one number per epoch"),
    (lambda: plots.history({"loss": ["high"]}), DtypeError, "history['loss'] must hold real numbers"),
    (curves({}), DataError, "curves must map labels to runs, got an empty mapping"),
    (curves({"a": []}), DataError, "curves['a'] must hold at least one run (steps, values), got none."),
    (curves({"a": [([], [])]}), DataError, "curves['a'][0] must hold at least one finite value, got none."),
    (curves({"a": [RUN, ([0], [np.nan])]}), DataError, "curves['a'][1] must hold at least one finite value"),
    (curves({"a": [([0, 1], [1.0])]}), ShapeError, "both (S,), got shapes (2,) and (1,)"),
    (curves({"a": ([0, 1], [1.0, 2.0])}), ShapeError, "put a single run into a list."),
    (curves({"a": RUN}), ShapeError, "must be a pair (steps, values) or a History; put a single run into a list."),
    (curves({"a": [([1, 1], [1.0, 2.0])]}), DataError, "the steps of curves['a'][0] must be finite and rise"),
    (curves({"a": [([2, 1], [1.0, 2.0])]}), DataError, "the steps of curves['a'][0] must be finite and rise"),
    (curves({"a": 3}), OptionError, "curves['a'] must be a list of runs (steps, values), got int."),
    (curves({"a": [History({"loss": [1.0]})]}, quantity="los"), UnknownNameError, "Did you mean 'loss'?"),
    (curves({"a": [RUN]}, published={"b": 1.0}), UnknownNameError, "Unknown label in published 'b'."),
    (curves({"a": [RUN]}, published={"a": np.nan}), OptionError, "published['a'] must be a number"),
    (curves({"a": [RUN]}, published=0.5), OptionError, "published must be a mapping from labels to values"),
    (curves({"a": [([0], [0.0])]}, logarithmic=True), DataError, "logarithmic=True needs values above 0, got 0"),
    (curves({"a": [RUN]}, logarithmic="yes"), OptionError, "logarithmic must be True or False, got 'yes'."),
    (bars({}), DataError, "measured must map groups to mappings, got an empty mapping"),
    (bars({"a": {}}), DataError, "measured['a'] must map names to accuracies, got an empty mapping"),
    (bars({"a": {"x": []}}), DataError, "measured['a']['x'] must hold at least one number"),
    (bars({"a": {"x": [97.2]}}), DataError, "must hold accuracies in [0, 1], got 97.2; divide percents by 100."),
    (bars({"a": {"x": [np.nan]}}), DataError, "measured['a']['x'] must hold finite numbers, got NaN or infinity"),
    (bars({"a": [0.5]}), OptionError, "measured['a'] must be a mapping from names to accuracies, got list."),
    (bars({"a": {"x": 1}}, published={"b": {"x": 1}}), UnknownNameError, "Unknown group in published 'b'."),
    (bars({"a": {"x": 1}}, published={"a": {"y": 1}}), UnknownNameError, "Unknown name in published['a'] 'y'."),
    (bars({"a": {"x": 1}}, published={"a": {"x": 72}}), OptionError, "must be a number in [0, 1], got 72."),
    (
        lambda: plots.weight_histograms({"a": {"1": [np.inf]}}),
        DataError,
        "weights['a']['1'] must hold finite numbers",
    ),
    (lambda: plots.weight_histograms({"a": [1.0]}), OptionError, "weights['a'] must be a mapping from layers to"),
    (differences({"a": [[1]]}, {"b": [[1]]}), DataError, "must have the same layers, got 'a' in first only."),
    (differences({"a": [[1]]}, {"a": [[1]], "b": [[1]]}), DataError, "got 'b' in second only."),
    (differences({"a": [[1]]}, {"a": [[1, 2]]}), ShapeError, "the shape of first['a'], (1, 1), got (1, 2)."),
    (
        differences({"k": [[[1]]]}, {"k": [[[1]]]}),
        ShapeError,
        "(1, 1, 1); give kernels of convolutions as",
    ),
    (differences({"bias": 1}, {"bias": 1}), ShapeError, "weights (I, O) or biases (O,), got shape ();"),
    (
        differences({"bias": [1, 2]}, {"bias": [1]}),
        ShapeError,
        "must have the shape of first['bias'], (2,), got (1,)",
    ),
    (matrix([[1, 2, 3], [4, 5, 6]]), ShapeError, "counts must be square, (C, C), got shape (2, 3);"),
    (matrix([[1]]), ShapeError, "one row and one column for each of 2 classes, got (1, 1)."),
    (matrix([[1, 2], [-3, 4]]), DataError, "counts must be at least 0, got -3."),
    (matrix([[0.5, 0.5], [1, 0]]), DataError, "counts must hold whole numbers, got others among them."),
    (matrix([[1]], "a"), OptionError, "classes must be a sequence of names, got str."),
    (matrix(np.zeros((0, 0)), []), DataError, "classes must name at least one class, got none."),
    (sheet(IMAGES[..., 0]), ShapeError, "got (4, 8, 8). Give grey images an axis of channels: images[..., None]."),
    (sheet(np.zeros((4, 3, 8, 8))), ShapeError, "Channels come last: np.moveaxis(images, 1, -1)."),
    (sheet(255 * IMAGES), DataError, "divide them by 255."),
    (sheet(IMAGES - 1), DataError, "images must hold numbers in [0, 1], got -"),
    (sheet(np.full((4, 8, 8, 1), np.nan)), DataError, "images must hold numbers in [0, 1], got nan to nan."),
    (sheet(labels=[0, 0, 0]), ShapeError, "labels must have shape (4,), one label per image, got (3,)."),
    (
        sheet(predictions=np.eye(4)),
        ShapeError,
        "predictions must have shape (4,), one label per image, got (4, 4).",
    ),
    (sheet(predictions=[0, 0, 2, 0]), DataError, "predictions must be 0 to 1 for 2 classes, got 2 in row 2."),
    (sheet(most=0), OptionError, "most must be a whole number of at least 1, got 0."),
]


@pytest.mark.parametrize(("draw", "error", "said"), REFUSED, ids=[said[:60] for _, _, said in REFUSED])
def test_what_cannot_be_drawn_is_refused_in_words(
    draw: Callable[[], Figure], error: type[NnxError], said: str
) -> None:
    with pytest.raises(error, match=re.escape(said)):
        draw()
