"""The reference has every public name, once, and says of it what its docstring says."""

from __future__ import annotations

import importlib
import inspect
import re
import zlib
from collections import Counter
from pathlib import Path

import pytest

import nnx
from nnx import Backend, Sequential

PACKAGES = [
    *(
        "callbacks",
        "conformance",
        "datasets",
        "distributed",
        "errors",
        "initializers",
        "interface",
        "losses",
        "onnx",
    ),
    *("optimizers", "plots", "schedules", "sklearn", "stepwise", "stored"),
]
INNER = {
    *("set_aside", "accept", "take", "input_pieces", "unbuilt_if_refused", "lay_out", "moment_names", "vocabulary"),
    *("input_extents", "check_inputs", "check_lengths_of", "need_built", "state_arrays", "snapshot"),
    *("update_snapshot", "restore", "to_host", "from_host", "snapshot_of"),
}
"""What `Sequential` has for the rest of nnx; users have no business with it."""

FORMULA = re.compile(r"^ *[a-z]\w*'?(?:\[[^\]]*\])? \+?= ", re.MULTILINE)
"""A line of a docstring that begins with what it computes."""

HEADING = re.compile(r'<h\d id="([\w.]+)" class="doc doc-heading"')


def public() -> list[set[str]]:
    """Return, for everything public, the names that it has: `nnx.SGD` is `nnx.optimizers.SGD` too."""
    found: dict[object, set[str]] = {}
    for module in (nnx, *(importlib.import_module(f"nnx.{name}") for name in PACKAGES)):
        for name in set(module.__all__) - {"__version__", *(PACKAGES if module is nnx else ())}:
            value, path = getattr(module, name), f"{module.__name__}.{name}"
            if inspect.isroutine(value) or inspect.isclass(value):
                found.setdefault(value, {f"{value.__module__}.{value.__qualname__}"}).add(path)
            else:
                found[path] = {path}
    return list(found.values())


@pytest.fixture(scope="module")
def listed(site: Path) -> set[str]:
    """The names in the inventory that other sites link by."""
    for library in ("sklearn", "onnx"):
        pytest.importorskip(library, reason=f"the public names are those of nnx.{library} too")
    stored = (site / "objects.inv").read_bytes()
    lines = zlib.decompress(stored.split(b"\n", 4)[4]).decode().splitlines()
    return {line.split()[0] for line in lines}


@pytest.fixture(scope="module")
def entries(site: Path) -> Counter[str]:
    """How often each name heads an entry."""
    pages = site.joinpath("reference").rglob("*.html")
    return Counter(name for page in pages for name in HEADING.findall(page.read_text(encoding="utf-8")))


def test_every_public_name_is_in_the_reference(listed: set[str]) -> None:
    assert [names for names in public() if not names & listed] == []


def test_no_entry_comes_twice(entries: Counter[str]) -> None:
    assert [name for name, count in entries.items() if count > 1] == []
    assert [names for names in public() if sum(entries[name] for name in names) > 1] == []


def test_every_method_that_users_call_on_a_model_is_shown_with_it(listed: set[str]) -> None:
    methods = [name for name, _ in inspect.getmembers(Sequential) if not name.startswith("_") and name not in INNER]
    assert [name for name in methods if f"nnx.Sequential.{name}" not in listed] == []


def test_every_kernel_has_its_entry(listed: set[str]) -> None:
    kernels = [name for name, value in inspect.getmembers(Backend, inspect.isroutine) if not name.startswith("_")]
    assert [name for name in kernels if f"nnx.Backend.{name}" not in listed] == []


def test_the_formulas_of_every_kernel_are_set_as_formulas(site: Path) -> None:
    page = (site / "reference/kernels/index.html").read_text(encoding="utf-8")
    names = [(found[1].rpartition(".")[2], found.end()) for found in HEADING.finditer(page)]
    ends = [end for _, end in names[1:]] + [len(page)]
    entries = {name: page[start:end] for (name, start), end in zip(names, ends, strict=True)}
    kernels = [name for name, value in inspect.getmembers(Backend, inspect.isroutine) if not name.startswith("_")]
    with_formula = [name for name in kernels if FORMULA.search(getattr(Backend, name).__doc__ or "")]
    assert len(with_formula) > 20
    assert [name for name in with_formula if "<math" not in entries[name]] == []


def test_the_table_of_activations_is_a_table(site: Path) -> None:
    page = (site / "reference/kernels/index.html").read_text(encoding="utf-8")
    assert re.search(r"<td[^>]*>leaky_relu</td>", page)
    assert "====" not in page


def test_labels_of_a_docstring_begin_a_paragraph(site: Path) -> None:
    page = (site / "reference/layers/index.html").read_text(encoding="utf-8")
    assert page.count("<p><strong>Shapes:</strong>") > 10
    assert page.count("<p><strong>Elsewhere:</strong>") > 5


def test_names_in_docstrings_lead_to_methods_and_classes(site: Path) -> None:
    page = (site / "reference/models/index.html").read_text(encoding="utf-8")
    for target in (
        "#nnx.Sequential.fit",
        "../errors/#nnx.errors.ShapeError",
        "../callbacks/#nnx.callbacks.Checkpoint",
    ):
        assert f'href="{target}"><code>' in page
