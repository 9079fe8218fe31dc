"""A character model: read Shakespeare letter by letter, learn which comes next, then write.

Each character becomes a vector that is learned (Embedding), a recurrent layer remembers what was read (LSTM), and a
dense layer gives a number for each of the 65 characters that may come next. The loss is in nats per character:
guessing blindly costs log 65 = 4.17, knowing how frequent each character is 3.31.

To write, the model is given a beginning and then its own characters, one by one, in a stream that keeps its state.
A temperature decides how bold it is: below 1 it prefers what it is sure of, above 1 it takes risks.
"""

from __future__ import annotations

import numpy as np

import nnx
from nnx.datasets import Vocabulary
from nnx.examples.outcome import Outcome
from nnx.schedules import Cosine

EPOCHS = 3
LENGTH = 64
"""Characters of a window: gradients reach that far back."""

BATCH_SIZE = 32
LEARNING_RATE = 0.004
BEGINNING, TEMPERATURE, SAMPLE = "ROMEO:\n", 0.7, 500


def build(characters: int, epochs: int, seed: int, backend: str | None) -> nnx.Sequential:
    """Return the network, which reads (N, T) tokens and gives (N, T, characters)."""
    layers = [
        nnx.Embedding(characters, 32),
        nnx.LSTM(256, return_sequences=True),
        nnx.Dense(characters),
    ]
    model = nnx.Sequential(layers, seed=seed, backend=backend)
    return model.compile("softmax_cross_entropy", nnx.Adam(Cosine(LEARNING_RATE, epochs)))


def run(epochs: int = EPOCHS, seed: int = 1, backend: str | None = None) -> Outcome:
    """Train on the first nine tenths of the text, measure on the rest, and write a sample."""
    train, test = text = nnx.datasets.shakespeare()
    vocabulary = text.vocabulary
    x, y = nnx.datasets.windows(vocabulary.encode(train), LENGTH, stride=LENGTH)
    x_test, y_test = nnx.datasets.windows(vocabulary.encode(test), LENGTH, stride=LENGTH)
    model = build(len(vocabulary), epochs, seed, backend)
    history = model.fit(x, y, epochs=epochs, batch_size=BATCH_SIZE)
    measured = model.evaluate(x_test, y_test, batch_size=256)
    blind = float(np.log(len(vocabulary)))
    return Outcome(
        model,
        {
            "parameters": model.store.count(),
            "epochs": epochs,
            "train nats per character": history["loss"][-1],
            "test nats per character": measured["loss"],
            "blind guess, nats per character": blind,
            "test accuracy": measured["accuracy"],
            "seconds": sum(history["seconds"]),
        },
        notes=(
            f"Nats per character say how much the next character surprises the model ({len(vocabulary)} "
            f"characters; blind guessing costs {blind:.2f}). Accuracy is how often its likeliest one is right.",
            f"Written by the model after {BEGINNING.strip()!r}:",
        ),
        text=BEGINNING + write(model, vocabulary, BEGINNING, SAMPLE, TEMPERATURE, seed),
    )


def write(
    model: nnx.Sequential, vocabulary: Vocabulary, beginning: str, count: int, temperature: float, seed: int
) -> str:
    """Return so many characters that the model writes after a beginning.

    p = softmax(outputs / temperature) of the last step; the next character is drawn from p.
    """
    rng, stream, written = np.random.default_rng(seed), model.stream(), []
    outputs = stream.predict(vocabulary.encode(beginning)[None])[0, -1]
    for _ in range(count):
        odds = np.exp((outputs - outputs.max()) / temperature, dtype=np.float64)
        token = rng.choice(len(vocabulary), p=odds / odds.sum())
        written.append(token)
        outputs = stream.predict([[token]])[0, -1]
    return vocabulary.decode(written)
