"""A convolutional network that tells cats from what is none, from 209 photographs.

So few photographs are soon learned by heart. What helps: few parameters, since a convolution has the same for every
place; mirrored photographs, which are as good as new ones; dropout before the last layer, and an L2 penalty. Mind
that one of the 50 test photographs is two per cent, so that another seed may do a little better or worse.
"""

from __future__ import annotations

import numpy as np

import nnx
from nnx.examples.outcome import Outcome
from nnx.schedules import Cosine

EPOCHS = 30
BATCH_SIZE = 16
LEARNING_RATE = 0.003


def build(epochs: int, seed: int, backend: str | None) -> nnx.Sequential:
    """Return the network, compiled and ready to be trained on images (N, 64, 64, 3)."""
    layers = [
        nnx.Conv2D(8, 3, strides=2, activation="relu"),  # (N, 64, 64, 3) -> (N, 31, 31, 8)
        nnx.MaxPool2D(2),  # -> (N, 15, 15, 8)
        nnx.Conv2D(16, 3, activation="relu"),  # -> (N, 13, 13, 16)
        nnx.MaxPool2D(2),  # -> (N, 6, 6, 16)
        nnx.Conv2D(32, 3, activation="relu"),  # -> (N, 4, 4, 32)
        nnx.Flatten(),  # -> (N, 512)
        nnx.Dropout(0.5),
        nnx.Dense(1),  # -> (N, 1), above 0 for a cat
    ]
    model = nnx.Sequential(layers, seed=seed, backend=backend)
    return model.compile("sigmoid_cross_entropy", nnx.Adam(Cosine(LEARNING_RATE, epochs)), l2=0.1)


def run(epochs: int = EPOCHS, seed: int = 1, backend: str | None = None) -> Outcome:
    """Train on 209 photographs; measure on 50 others."""
    (x, y), (x_test, y_test) = nnx.datasets.cats()
    x, y = np.concatenate([x, x[:, :, ::-1]]), np.concatenate([y, y])  # and mirrored, left to right
    model = build(epochs, seed, backend)
    history = model.fit(x, y, epochs=epochs, batch_size=BATCH_SIZE)
    measured = model.evaluate(x_test, y_test)
    return Outcome(
        model,
        {
            "parameters": model.store.count(),
            "epochs": epochs,
            "train accuracy": history["accuracy"][-1],
            "test accuracy": measured["accuracy"],
            "blind guess, always 'cat'": float(y_test.mean()),
            "test loss": measured["loss"],
            "seconds": sum(history["seconds"]),
        },
    )
