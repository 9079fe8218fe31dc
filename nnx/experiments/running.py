"""Running the rows of an experiment from several seeds."""

from __future__ import annotations

from nnx.experiments.experiment import Experiment, Results, Row
from nnx.registry import describe


def rows_on(experiment: Experiment, named: str | None) -> list[Row]:
    """Return the rows to run: one about an engine only if that is named, or if none is named and it is here."""

    def wanted(row: Row) -> bool:
        if row.backend is None:
            return True
        return row.backend == named if named else describe(row.backend).available

    return [row for row in experiment.rows if wanted(row)]


def run(rows: list[Row], backend: str, seeds: int) -> Results:
    """Run each row from the seeds 0 to seeds - 1."""
    return {row.name: [row.settings.run(seed, row.backend or backend) for seed in range(seeds)] for row in rows}
