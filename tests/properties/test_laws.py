"""Every layer obeys its laws on a few examples, the same ones in every run.

`python -m tests.properties --count 1000` goes through as many as one likes; `benchmarks/results/trust.md` says what
the last such run found.
"""

from __future__ import annotations

import inspect

import pytest
from hypothesis import Phase

import nnx.layers
from nnx import Backend, Layer
from nnx.interface import Array
from nnx.layers import LAYERS, Backward, Context, Dense
from tests.properties import laws
from tests.properties.laws import ALL, Law, Trial, examine
from tests.properties.subjects import drawn_layers
from tests.properties.table import LAWS
from tests.properties.values import require_same

EXAMPLES = 2
PAIRS = [pytest.param(law, layer, id=f"{layer}: {law.name}") for law in LAWS for layer in law.layers]


@pytest.mark.parametrize(("law", "layer"), PAIRS)
def test_the_law_holds(engine: Backend, law: Law, layer: str) -> None:
    examine(law, layer, engine, EXAMPLES)


def test_every_layer_of_the_package_is_drawn_and_has_laws() -> None:
    public = {
        name
        for name, value in vars(nnx.layers).items()
        if inspect.isclass(value) and issubclass(value, Layer) and value is not Layer
    }
    assert public == set(ALL) == drawn_layers()
    assert set(LAYERS) <= public
    for layer in public:
        assert sum(layer in law.layers for law in LAWS) >= 8, f"{layer} has hardly any laws"


class Leaking(Dense):
    """Adds a trace of the first example to all others."""

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        y, backward = super().forward(x, context)
        y[1:, ...] += 1e-3 * y[:1, ...]
        return y, backward


class Bending(Dense):
    """Forgets in its backward pass that gradients are linear."""

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        y, backward = super().forward(x, context)
        return y, lambda dy: backward(dy * abs(dy))


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (Leaking, "an example alone is predicted as among others"),
        (Leaking, "prediction does not depend on the order of the batch"),
        (Leaking, "what is not a number stays in its example"),
        (Bending, "gradients are linear in those of the outputs"),
    ],
)
def test_a_layer_that_breaks_a_law_is_found(monkeypatch: pytest.MonkeyPatch, wrong: type[Layer], name: str) -> None:
    law = next(law for law in LAWS if law.name == name)
    monkeypatch.setattr(laws, "PHASES", (Phase.generate,))
    monkeypatch.setitem(LAYERS, "Dense", wrong)
    with pytest.raises(AssertionError):
        examine(law, "Dense", nnx.get_backend("numpy"), 20)


def test_numbers_are_compared_bit_for_bit(monkeypatch: pytest.MonkeyPatch, engine: Backend) -> None:
    """The least difference there is breaks a law that says "the same"."""
    monkeypatch.setattr(laws, "PHASES", (Phase.generate,))
    law = Law("nothing changes", ("Dense",), _off_by_one_bit)
    with pytest.raises(AssertionError, match="differ"):
        examine(law, "Dense", engine, 1)


def _off_by_one_bit(trial: Trial) -> None:
    x = trial.numbers((3,), "float32", ("normal",))
    moved = x.copy()
    moved.view("i4")[1] ^= 1
    require_same(moved, x)
