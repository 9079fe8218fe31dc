"""`nnx backends`: which engines are usable here and, where not, why."""

from __future__ import annotations

from dataclasses import asdict

from nnx.cli.options import Json, examples
from nnx.cli.output import print_json, print_table
from nnx.registry import BackendInfo, available_backends


@examples(
    "nnx backends",
    "nnx backends --json",
)
def list_backends(json: Json = False) -> None:
    """Show which backends are usable here and, where not, why and what to install."""
    found = available_backends()
    if json:
        print_json([asdict(info) for info in found])
    else:
        print_table(("backend", "usable", "device, or what is missing"), map(_row, found))


def _row(info: BackendInfo) -> tuple[str, str, str]:
    return info.name, "yes" if info.available else "no", info.device or info.reason
