"""Pictures of training, weights and predictions, drawn by matplotlib into files, never a window.

    nnx.plots.history(model.fit(x, y, epochs=20), "history.png")

Every function returns a `matplotlib.figure.Figure`, and writes it too where it is given a path: PNG, SVG or PDF by
its ending, whole or not at all. The same input gives the same file. The first picture loads matplotlib, which is
optional: python -m pip install 'nnx-framework[plot]'.

Training: history, learning_curves, accuracy_bars.
Weights: weight_histograms, weight_differences.
Predictions: confusion_matrix, of confusion_counts, and misclassified.
Engines: difference, of what `nnx.diff` found.
"""

from nnx.plots.bars import accuracy_bars
from nnx.plots.classification import confusion_counts, confusion_matrix, misclassified
from nnx.plots.curves import history, learning_curves
from nnx.plots.differences import difference
from nnx.plots.weights import weight_differences, weight_histograms

__all__ = [
    "accuracy_bars",
    "confusion_counts",
    "confusion_matrix",
    "difference",
    "history",
    "learning_curves",
    "misclassified",
    "weight_differences",
    "weight_histograms",
]
