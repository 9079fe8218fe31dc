"""A walk from one neuron to Adam with batch normalisation: `python -m nnx.stepwise.walk`.

Each part is one function; read them from top to bottom. Its docstring is printed, and then what it came to on the
handwritten digits that ship with nnx: 1437 to learn from and 360 to be tested on, of 8 x 8 pixels each. All of it
runs on the selected backend (`NNX_BACKEND=numba python -m nnx.stepwise.walk`).
"""

from __future__ import annotations

import argparse
import inspect
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from nnx import registry, stepwise
from nnx.errors import NnxError
from nnx.random import check_seed
from nnx.stepwise.parameters import Parameters
from nnx.stepwise.questions import Task, blind_guess, is_odd, is_zero, which

Layers: TypeAlias = tuple[int, ...]  # inputs, and units of each layer


class Score(NamedTuple):
    """What a part came to: the cost on the digits learned from, and the share of right answers on both parts."""

    cost: float
    train: float
    test: float


def score(task: Task, parameters: Parameters, use_batchnorm: bool = False) -> Score:
    """Measure a network."""
    AL, _ = stepwise.L_model_forward(task.X, parameters, use_batchnorm)
    train = stepwise.predict(task.X, task.Y, parameters, use_batchnorm)
    test = stepwise.predict(task.X_test, task.Y_test, parameters, use_batchnorm)
    return Score(stepwise.compute_cost(AL, task.Y), train, test)


def one_neuron(
    task: Task, seed: int, layers: Layers = (64, 1), learning_rate: float = 0.5, steps: int = 300
) -> Score:
    """One neuron.

    A neuron gives every pixel a weight, adds all up with a bias, Z = W X + b, and squeezes the sum into a
    probability, A = 1 / (1 + e^-Z). The cost is how much the answers surprise it. dZ = A - Y says for every picture
    where the sum should have gone, and dW = 1/m dZ X^T what that means for the weights: a small step against it
    makes the cost smaller. This is logistic regression, and all that follows is the same, over and over.
    """
    parameters = stepwise.initialize_parameters(layers, seed)
    W, b = parameters["W1"], parameters["b1"]
    for _ in range(steps):
        Z, cache = stepwise.linear_forward(task.X, W, b)
        A, _ = stepwise.sigmoid(Z)
        _, dW, db = stepwise.linear_backward(A - task.Y, cache, wants_dA=False)
        W, b = W - learning_rate * dW, b - learning_rate * db
    return score(task, {"W1": W, "b1": b})


def harder_question(
    task: Task, seed: int, layers: Layers = (64, 1), learning_rate: float = 0.5, steps: int = 300
) -> Score:
    """The same neuron, a harder question.

    One neuron weighs pixels: each of them speaks for or against, whatever the others show. But 1, 3, 5, 7 and 9
    have no stroke in common that the even digits lack, and such a vote gets only so far.
    """
    return one_neuron(task, seed, layers, learning_rate, steps)


def hidden_layer(
    task: Task, seed: int, layers: Layers = (64, 32, 1), learning_rate: float = 0.5, steps: int = 300
) -> Score:
    """A hidden layer.

    32 neurons look at the picture first, each for something of its own, and one decides by what they found. Between
    the two stands relu, max(Z, 0): without it, sums of sums would be sums again. Weights begin at random, or all 32
    would stay alike. Backwards, each layer tells the one before it, by dA = W^T dZ, what it should have put out.
    """
    parameters = stepwise.initialize_parameters(layers, seed)
    for _ in range(steps):
        A1, cache1 = stepwise.linear_activation_forward(task.X, parameters["W1"], parameters["b1"], "relu")
        A2, cache2 = stepwise.linear_activation_forward(A1, parameters["W2"], parameters["b2"], "sigmoid")
        dA1, dW2, db2 = stepwise.linear_backward(A2 - task.Y, cache2[0])
        _, dW1, db1 = stepwise.linear_activation_backward(dA1, cache1, "relu", wants_dA=False)
        grads = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
        parameters = stepwise.update_parameters(parameters, grads, learning_rate)
    return score(task, parameters)


def softmax_outputs(
    task: Task, seed: int, layers: Layers = (64, 32, 10), learning_rate: float = 1.0, epochs: int = 10
) -> Score:
    """Ten outputs.

    To name the digit takes one output for each. The softmax turns the ten sums into shares of one probability, and
    in dZ = A - Y nothing changes but the number of rows. The passes through all layers are loops by now, in
    L_model_forward and L_model_backward. To go through all digits 10 times makes 10 steps, which is not much.
    """
    parameters = stepwise.initialize_parameters(layers, seed)
    for _ in range(epochs):
        AL, caches = stepwise.L_model_forward(task.X, parameters)
        grads = stepwise.L_model_backward(AL, task.Y, caches)
        parameters = stepwise.update_parameters(parameters, grads, learning_rate)
    return score(task, parameters)


def mini_batches(
    task: Task,
    seed: int,
    layers: Layers = (64, 32, 10),
    learning_rate: float = 1.0,
    epochs: int = 10,
    batch_size: int = 64,
) -> Score:
    """Mini-batches.

    64 digits tell the way nearly as well as all 1437, at a small part of the work: 23 steps instead of one for each
    time through the digits. Every time they come in another order, so that no batch is like another.
    """
    parameters = stepwise.initialize_parameters(layers, seed)
    for epoch in range(epochs):
        for X, Y in stepwise.random_mini_batches(task.X, task.Y, batch_size, seed, epoch):
            AL, caches = stepwise.L_model_forward(X, parameters)
            grads = stepwise.L_model_backward(AL, Y, caches)
            parameters = stepwise.update_parameters(parameters, grads, learning_rate)
    return score(task, parameters)


def too_fast(
    task: Task,
    seed: int,
    layers: Layers = (64, 32, 10),
    learning_rate: float = 2.0,
    epochs: int = 10,
    batch_size: int = 64,
) -> Score:
    """Twice the learning rate.

    Larger steps get further, as long as the slope at their beginning still holds at their end. Where it does not,
    they jump across the valley and up the other side, and a step that throws all hidden units below 0, for every
    picture, is the last one: relu passes nothing on any more.
    """
    return mini_batches(task, seed, layers, learning_rate, epochs, batch_size)


def momentum(
    task: Task,
    seed: int,
    layers: Layers = (64, 32, 10),
    learning_rate: float = 2.0,
    beta: float = 0.9,
    epochs: int = 10,
    batch_size: int = 64,
) -> Score:
    """Momentum.

    The gradient of a batch is a guess. A running mean of the last ones, v = 0.9 v + 0.1 dW, forgets what they do
    not agree on, and keeps what they do. That makes the steps steadier, and a large learning rate less of a risk:
    the one here is that of the part before.
    """
    parameters = stepwise.initialize_parameters(layers, seed)
    v = stepwise.initialize_velocity(parameters)
    for epoch in range(epochs):
        for X, Y in stepwise.random_mini_batches(task.X, task.Y, batch_size, seed, epoch):
            AL, caches = stepwise.L_model_forward(X, parameters)
            grads = stepwise.L_model_backward(AL, Y, caches)
            parameters, v = stepwise.update_parameters_with_momentum(parameters, grads, v, beta, learning_rate)
    return score(task, parameters)


def adam(
    task: Task,
    seed: int,
    layers: Layers = (64, 32, 10),
    learning_rate: float = 0.02,
    epochs: int = 10,
    batch_size: int = 64,
) -> Score:
    """Adam.

    Some weights have much larger gradients than others. RMSprop divides each by its usual size, the root of
    s = 0.999 s + 0.001 dW^2, so that all weights walk about equally fast. Adam does both, momentum and this, and
    corrects the two means for their beginning at 0.
    """
    parameters, t = stepwise.initialize_parameters(layers, seed), 0
    v, s = stepwise.initialize_adam(parameters)
    for epoch in range(epochs):
        for X, Y in stepwise.random_mini_batches(task.X, task.Y, batch_size, seed, epoch):
            AL, caches = stepwise.L_model_forward(X, parameters)
            grads, t = stepwise.L_model_backward(AL, Y, caches), t + 1
            parameters, v, s = stepwise.update_parameters_with_adam(parameters, grads, v, s, t, learning_rate)
    return score(task, parameters)


def batch_norm(
    task: Task,
    seed: int,
    layers: Layers = (64, 32, 10),
    learning_rate: float = 0.02,
    epochs: int = 10,
    batch_size: int = 64,
) -> Score:
    """Batch normalisation.

    What a hidden unit puts out wanders while the layers before it learn, and all after it have to follow. Batch
    normalisation gives every unit mean 0 and variance 1 over the batch, whatever it was before. The gradient goes
    through these means too: every picture of a batch has its part in them.
    """
    parameters, t = stepwise.initialize_parameters(layers, seed), 0
    v, s = stepwise.initialize_adam(parameters)
    for epoch in range(epochs):
        for X, Y in stepwise.random_mini_batches(task.X, task.Y, batch_size, seed, epoch):
            AL, caches = stepwise.L_model_forward(X, parameters, use_batchnorm=True)
            grads, t = stepwise.L_model_backward(AL, Y, caches), t + 1
            parameters, v, s = stepwise.update_parameters_with_adam(parameters, grads, v, s, t, learning_rate)
    return score(task, parameters, use_batchnorm=True)


Part: TypeAlias = Callable[[Task, int], Score]

PARTS: tuple[tuple[Callable[[], Task], Part], ...] = (
    (is_zero, one_neuron),
    (is_odd, harder_question),
    (is_odd, hidden_layer),
    (which, softmax_outputs),
    (which, mini_batches),
    (which, too_fast),
    (which, momentum),
    (which, adam),
    (which, batch_norm),
)
"""Every part of the walk, and what it asks."""


def percent(share: float) -> str:
    """Return a share as text, such as "97.5 %"."""
    return f"{100 * share:.1f} %"


def gained(now: Score, before: tuple[int, Score] | None, task: Task) -> str:
    """Say what a part was good for: against the last one that asked the same, or else against a blind guess."""
    if before is None:
        return f"Always giving the most frequent answer gets {percent(blind_guess(task))} of the test digits right."
    number, then = before
    points = round(100 * (now.test - then.test), 1)
    change = f"{abs(points):.1f} points {'up' if points > 0 else 'down'}" if points else "the same"
    return f"Part {number} came to a cost of {then.cost:.4f}; accuracy on the test digits since then: {change}."


def settings(part: Part, seed: int) -> str:
    """Return what a part was run with: its options, which are all that stand in its signature behind the seed."""
    words = [f"seed {seed}"]
    for name, option in list(inspect.signature(part).parameters.items())[2:]:
        value = "-".join(map(str, option.default)) if isinstance(option.default, tuple) else f"{option.default:g}"
        words.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(words)


def walk(seed: int) -> Iterator[str]:
    """Say where this runs, run the parts one after another, and yield what each of them has to say."""
    check_seed(seed)
    backend, scores = registry.current(), dict[str, tuple[int, Score]]()
    yield f"On the backend {backend.name}, {backend.device()}. The code stands in nnx/stepwise/walk.py.\n"
    for number, (question, part) in enumerate(PARTS, 1):
        task, start = question(), time.perf_counter()
        now, seconds = part(task, seed), time.perf_counter() - start
        title, _, prose = (inspect.getdoc(part) or "").partition("\n\n")
        told = [
            f"{task.question} Code: {part.__name__}.",
            f"Settings: {settings(part, seed)}.",
            f"Cost {now.cost:.4f}; right: {percent(now.train)} of the digits learned from, {percent(now.test)} of "
            f"the others; {seconds:.2f} s",
            gained(now, scores.get(task.question), task),
        ]
        text, figures = textwrap.fill(" ".join(prose.split()), 88), textwrap.indent("\n".join(told), "    ")
        yield f"{number}. {title.rstrip('.')}\n\n{text}\n\n{figures}\n"
        scores[task.question] = number, now


def main() -> None:
    """Print the walk."""
    parser = argparse.ArgumentParser(
        prog="python -m nnx.stepwise.walk", description="From one neuron to Adam with batch normalisation."
    )
    parser.add_argument("--seed", type=int, default=1, help="decides initial weights and batches (default: 1)")
    seed = parser.parse_args().seed
    try:
        for words in walk(seed):
            print(words, flush=True)
    except NnxError as error:  # the seed or the backend asked for cannot be used
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
