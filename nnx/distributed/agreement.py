"""Whether all ranks do the same: compared by checksums when training begins, and at the end of every epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnx.checks import own_options
from nnx.distributed.group import Group
from nnx.errors import BackendError, OptionError
from nnx.resumption import digest
from nnx.verification import is_foreign

if TYPE_CHECKING:
    from nnx.model import Sequential
    from nnx.training import Task


def state_digest(model: Sequential) -> str:
    """Return a checksum of all that training changes."""
    found = hashlib.blake2b(digest_size=16)
    for array in model.state_arrays():
        found.update(model.backend.to_numpy(array).data)
    return found.hexdigest()


def terms(task: Task) -> dict[str, Any]:
    """Return what all ranks must have alike, by the names that people know it by.

    Raises:
        OptionError: the options of something of a class of one's own cannot be told.
    """
    model, options, validation = task.model, task.options, task.validation
    parts = [layer for _, layer in model.places] + [model.loss, model.optimizer]
    own = [part for part in parts if is_foreign(part)]
    callbacks = [[type(item).__name__, item.every, item.saves, item.watches_steps] for item in task.callbacks]
    return {
        "the layers": [repr(layer) for layer in model.chain.layers],
        "the options of classes of one's own": [
            [type(part).__qualname__, repr(own_options(part, ", so that ranks cannot compare them"))]
            for part in own
        ],
        "the seed": model.seed,
        "the dtype": model.dtype,
        "the backend": model.backend.name,
        "the loss": repr(model.loss),
        "the optimizer": repr(model.optimizer),
        "the factor l2": model.l2,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "shuffle": options.shuffle,
        "eager": options.eager,
        "the callbacks": callbacks,
        "the weights": state_digest(model),
        "the examples": digest(task.examples),
        "the validation examples": None if validation is None else digest(validation),
    }


def check_alike(group: Group, ours: Mapping[str, Any]) -> None:
    """Make sure that all ranks were given the same.

    Raises:
        OptionError: on all ranks, naming the first difference.
    """
    first, *others = group.collect(dict(ours))
    for name, value in first.items():
        for rank, other in enumerate(others, 1):
            if other[name] != value:
                shown = "" if _is_digest(value) else f": {value!r} and {other[name]!r}"
                text = (
                    "distributed=True needs the same model, data and options on every rank, but ranks 0 and "
                    f"{rank} differ in {name}{shown}. Make them by the same code from the same files."
                )
                raise group.agree_on(OptionError(text))


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 32


def check_state(group: Group, model: Sequential) -> str:
    """Make sure that all ranks have come to the same weights, and return the digest of these.

    Raises:
        BackendError: on all ranks; processors of other kinds may round differently.
    """
    digests = group.collect(state_digest(model))
    parted = [rank for rank, found in enumerate(digests) if found != digests[0]]
    if parted:
        raise group.agree_on(
            BackendError(
                f"After epoch {model.epoch}, the weights of rank {parted[0]} of {group.size} differ from those of "
                "rank 0, though all were given the same gradients: their processors or libraries round "
                "differently. Train on computers of one kind, with the same versions of NumPy and Numba."
            )
        )
    return str(digests[0])
