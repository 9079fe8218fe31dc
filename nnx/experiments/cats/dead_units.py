"""Training that also counts the units that died: those that are zero whatever the example."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nnx.datasets import Dataset
from nnx.experiments.hidden import blocked_share, dead_share, hidden_zeros
from nnx.experiments.result import Result
from nnx.experiments.training import Training
from nnx.model import Sequential

DEAD_BEFORE, DEAD_AFTER = "dead units before", "dead units after"
DEAD_LAYERS = "dead layers"
BLOCKED = "blocked examples"


@dataclass(frozen=True)
class WatchedTraining(Training):
    """Training that also measures which hidden units are zero, over all training examples.

    A unit of ReLU that is zero for every example gets no gradient from any, and learns nothing while that lasts: it
    is dead. Where all units of a layer are zero for an example, the example is blocked: nothing of it shows in what
    comes out, and it teaches the layers before nothing.

    `Result.figures` holds the share of dead units before and after training, the number of hidden layers in which
    all units are dead after it, and the share of examples that are blocked after it; shares in [0, 1].
    """

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """See `Training.measure`."""
        x, _ = data.train
        before = hidden_zeros(model, x)
        result = super().measure(model, data)
        after = hidden_zeros(model, x)
        figures = {
            DEAD_BEFORE: dead_share(before),
            DEAD_AFTER: dead_share(after),
            DEAD_LAYERS: float(sum(zeros.all() for zeros in after)),
            BLOCKED: blocked_share(after),
        }
        return replace(result, figures={**result.figures, **figures})
