"""Results on disk: where they lie, and whether a file is one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from benchmarks.command import FORMAT
from nnx.errors import FileFormatError

FOLDER = Path(__file__).resolve().parent / "results"


def default_path(device: str, quick: bool) -> Path:
    """Return where the results of a full run are kept; those of a quick one lie beside them, unversioned."""
    return FOLDER / (f"quick-{device}.json" if quick else f"{device}.json")


def read(path: Path) -> dict[str, Any]:
    """Read results.

    Raises:
        FileFormatError: there is no such file, or it holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        how = f"`nnx bench --peers --out {path}` would measure some"
        raise FileFormatError(f"There are no results in {str(path)!r}; {how}.") from error
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{str(path)!r} is not JSON: {error}.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or "rounds" not in found:
        raise FileFormatError(f"{str(path)!r} holds no benchmark results of format {FORMAT}; measure anew.")
    return found


def dump(results: dict[str, Any]) -> str:
    """Return results as JSON."""
    return json.dumps(plain(results), indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Drop digits that no clock has, and numbers that JSON has not: a peer's loss that became NaN is None."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
