"""What `nnx report` makes of files: pages that are well formed, and hold nothing that runs or lies elsewhere."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nnx.errors import NnxError
from nnx.pages.page import document
from nnx.report.section import Section
from tests.fuzz.damage import Corpus, Random, pick
from tests.fuzz.hdf5_files import seal


def checked(make: Callable[[Path], Section]) -> Callable[[Path], None]:
    """Return what makes the page of a file and looks at it."""

    def read(path: Path) -> None:
        from support.pages import Reader

        page = document(path.name, make(path).body)
        page.encode()
        for tag, given in Reader(page).tags:
            places = [str(value) for name, value in given.items() if name in ("src", "href")]
            wrong = [place for place in places if not place.startswith(("data:image/", "https://", "http://"))]
            if (
                wrong
                or tag in ("script", "iframe", "object", "link")
                or any(name.startswith("on") for name in given)
            ):
                raise AssertionError(f"the page holds a {tag} with {given}"[:300])
        if len(page) > 50 * path.stat().st_size + 1_000_000:
            raise AssertionError(f"a page of {len(page)} characters from a file of {path.stat().st_size} bytes")

    return read


_HOSTILE: tuple[Any, ...] = (
    "<script>alert(1)</script>",
    '"><img src="https://example.org/x" onerror="alert(1)">',
    "' onclick='alert(1)",
    "javascript:alert(1)",
    "</td></table></style><iframe>",
    "$\\frac{$",
    "\ud800\0\x1b[2J",
    "x" * 100_000,
    *(0, -1, 1e-320, 1e308, math.nan, math.inf, 10**400, 10**12, None, True, [], {}),
)


_EXTREME = np.array(
    [0.0, 5e-324, 1e-308, 1e-300, 1.0, 1e16, 1e16 + 2, 1e300, sys.float_info.max, math.inf, math.nan]
)


def forge_history(random: Random, corpus: Corpus) -> bytes:
    """Let a kept run have measured the largest and smallest numbers there are; a model alone stays as it is."""
    image = io.BytesIO(pick(random, corpus))
    with h5py.File(image, "r+") as file:
        names = [name for name in file if name.startswith("history.")]
        if names:
            name = names[int(random.integers(len(names)))]
            shape = file[name].shape
            seal(file, name, random.choice([-1.0, 1.0], shape) * random.choice(_EXTREME, shape))
    return image.getvalue()


def forge_leaves(random: Random, corpus: Corpus) -> bytes:
    """Put up to five hostile values where texts and numbers stand, and leave the rest as it is."""
    value = json.loads(pick(random, corpus))
    for _ in range(int(random.integers(1, 6))):
        places = list(_leaves(value))
        held, key = places[int(random.integers(len(places)))]
        held[key] = _HOSTILE[int(random.integers(len(_HOSTILE)))]
    return json.dumps(value).encode()


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the holder and the key of everything in a JSON value that holds nothing."""
    for key, held in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(held, dict | list) and held:
            yield from _leaves(held)
        else:
            yield value, key


def experiments() -> list[bytes]:
    """Return a report with references and a picture, which is not beside it."""
    from support.experiment_reports import sample

    told = {"file": "p.png", "title": "a", "caption": "b"}
    values = {**sample().to_json(), "references": [{"what": "a", "address": "https://example.org"}]}
    return [json.dumps({**values, "pictures": [told]}).encode()]


def benchmarks() -> list[bytes]:
    """Return results with few points to draw."""
    from support.benchmark_results import sample

    return [json.dumps(sample()).encode()]


REFUSALS = (NnxError,)
"""What a report leaves a file out for."""
