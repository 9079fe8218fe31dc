"""A convolutional network that reads handwritten digits.

Two convolutions of 3 x 3 pixels find strokes and then combinations of strokes; after each, pooling keeps the
strongest of four neighbours, so that it matters less where exactly a stroke is. One dense layer decides. With 5,258
parameters the network gets 98.5 % of the test digits right after three times through the training digits.
"""

from __future__ import annotations

import nnx
from nnx.examples.outcome import Outcome
from nnx.schedules import Cosine

EPOCHS = 3
BATCH_SIZE = 64
LEARNING_RATE = 0.003
"""At first; it falls to 0 along half a cosine, which is worth half a per cent in so few epochs."""


def build(epochs: int, seed: int, backend: str | None) -> nnx.Sequential:
    """Return the network, compiled and ready to be trained on images (N, 28, 28, 1)."""
    layers = [
        nnx.Conv2D(8, 3, activation="relu"),  # (N, 28, 28, 1) -> (N, 26, 26, 8)
        nnx.MaxPool2D(2),  # -> (N, 13, 13, 8)
        nnx.Conv2D(16, 3, activation="relu"),  # -> (N, 11, 11, 16)
        nnx.MaxPool2D(2),  # -> (N, 5, 5, 16)
        nnx.Flatten(),  # -> (N, 400)
        nnx.Dense(10),  # -> (N, 10), one number per digit
    ]
    model = nnx.Sequential(layers, seed=seed, backend=backend)
    return model.compile("softmax_cross_entropy", nnx.Adam(Cosine(LEARNING_RATE, epochs)))


def run(epochs: int = EPOCHS, seed: int = 1, backend: str | None = None) -> Outcome:
    """Train on 60,000 digits; measure on 10,000 others."""
    (x, y), (x_test, y_test) = nnx.datasets.mnist()
    model = build(epochs, seed, backend)
    history = model.fit(x, y, epochs=epochs, batch_size=BATCH_SIZE)
    measured = model.evaluate(x_test, y_test)
    ones = float((y_test == 1).mean())  # the most frequent of the test digits
    return Outcome(
        model,
        {
            "parameters": model.store.count(),
            "epochs": epochs,
            "train accuracy": history["accuracy"][-1],
            "test accuracy": measured["accuracy"],
            "blind guess, always '1'": ones,
            "test loss": measured["loss"],
            "seconds": sum(history["seconds"]),
        },
    )
