"""Whether a run was of the model that is to go on with it, and if not, where the two differ first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnx.errors import OptionError, shown


def check_same_model(source: Path, config: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Refuse a configuration that differs from that of the model, save in the epochs done.

    Args:
        source: the file, for the message.
        config: what the file holds, as JSON values; what a model's configuration lacks is not looked at.
        ours: the configuration of the model.

    Raises:
        OptionError: they differ; the message names the first part in which they do.
    """
    for name, value in ours.items():
        before = config.get(name)
        if name != "epoch" and before != value:
            part, theirs, mine = _first_difference(name, before, value)
            raise OptionError(
                f"{str(source)!r} is a run of another model: its {part} is {theirs}, that of this one {mine}. Make "
                "the model by the same code as before, or begin a new run with another file."
            )


def _first_difference(name: str, theirs: object, ours: object) -> tuple[str, object, object]:
    """Return where two JSON values differ first, and what stands there."""
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        index = next(index for index in range(len(ours)) if theirs[index] != ours[index])
        return _first_difference(f"{name}[{index}]", theirs[index], ours[index])
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        key = next(key for key in ours if theirs[key] != ours[key])
        return _first_difference(f"{name}.{key}", theirs[key], ours[key])
    if isinstance(theirs, list) and isinstance(ours, list):
        return f"number of {name}", len(theirs), len(ours)
    return name, shown(theirs), shown(ours)
