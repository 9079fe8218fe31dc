"""What a report holds; `html` and `markdown` write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnx.experiments.experiment import Experiment, Picture
from nnx.experiments.summary import Line


@dataclass(frozen=True)
class Report:
    """One experiment as it was run here.

    Attributes:
        experiment: what was run.
        lines: the table.
        pictures, notes: what the experiment makes of its results.
        provenance: what made it, by name: the exact command, backend and device, seeds, machine, versions, date.
    """

    experiment: Experiment
    lines: tuple[Line, ...]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]
