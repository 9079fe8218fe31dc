"""Formulas of docstrings are read as they are meant."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / ".mkdocs"


@pytest.fixture(scope="module")
def typeset() -> Iterator[ModuleType]:
    sys.path.append(str(FOLDER))
    try:
        import typeset
    finally:
        sys.path.remove(str(FOLDER))
    yield typeset
    del sys.modules["typeset"]


@pytest.mark.parametrize(
    ("typed", "latex"),
    [
        ("a / b c", r"\frac{a}{b} \, c"),
        ("a b / (c + 1)", r"\frac{a \, b}{c + 1}"),
        ("1 / N sum_i w_i l_i", r"\frac{1}{N} \, \sum_{i} w_{i} \, l_{i}"),
        ("e / sum_k e^(x_ik - 1) y", r"\frac{e}{\sum_{k} e^{x_{ik} - 1} \, y}"),
        ("y = f(x @ w + b)", r"y = f(x \, w + b)"),
        ("dz = dy * f'(z)", r"dz = dy \odot f'(z)"),
        ("(a / b) (c)", r"\left(\frac{a}{b}\right) \, (c)"),
        ("beta1^t eps_root", r"\beta _{1}^{t} \, \varepsilon _{\text{root}}"),
        ("running_mean h_last c'", r"\text{running_mean} \, h_{\text{last}} \, c'"),
        ("|e| - |z|", r"\left|e\right| - \left|z\right|"),
        ("y = 0   where x <= 0", r"y = 0 \qquad \text{where x <= 0}"),
        ("x[n, p'] w.T", r"x_{n, p'} \, w^\top"),
    ],
)
def test_a_formula_is_read_by_its_rules(typeset: ModuleType, typed: str, latex: str) -> None:
    assert typeset.latex(typed) == latex


@pytest.mark.parametrize("typed", ["a +", "(a", "a ) b", "sum_i", "a ? b", "|a"])
def test_what_is_no_formula_is_refused_rather_than_set_wrongly(typeset: ModuleType, typed: str) -> None:
    with pytest.raises(typeset.UnreadableError):
        typeset.latex(typed)
