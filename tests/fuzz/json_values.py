"""JSON that is well formed but senseless, and text that is nearly JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.fuzz.damage import Corpus, Random, pick

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
    *(2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 3.0000001, 10**6, 10**9, 10**12),
    *(
        "",
        "nan",
        "inf",
        "0",
        "1",
        "relu",
        "sgd",
        "os.system",
        "../../x",
        "\0",
        "\x1b[2J",
        "é" * 3,
        "x" * 5000,
        "\ud800",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [1, "a", None],
        {"": None},
        {"type": "Dense", "options": {"units": 10**9}},
        [10**9, 10**9],
        [-1],
        [0],
    ),
    *(
        [0] * 3000,
        {"__class__": "os"},
        {"type": ["dense"], "options": 3},
        {"class": "Shift", "options": {"start": "x", "shape": {"tuple": [1]}, "before": []}},
        {"class": "os.system", "options": {}},
        {"tuple": [0, [1]]},
        "float64",
        "O",
        "V999999999",
        "U99999999",
        "M8",
    ),
)
"""Values that stand where others are expected."""


def mutate_json(random: Random, value: Any) -> Any:
    """Change one to four places of a JSON value."""
    for _ in range(int(random.integers(1, 5))):
        value = _mutate(random, value)
    return value


def mutate_text(random: Random, corpus: Corpus) -> bytes:
    """Make a JSON file with a few senseless values, at times one that only some parsers would take."""
    text = json.dumps(mutate_json(random, json.loads(pick(random, corpus))))
    return _LIKE_JSON[int(random.integers(len(_LIKE_JSON)))](random, text).encode("utf-8", "surrogatepass")


def forge_result(random: Random, corpus: Corpus) -> bytes:
    """Change a kept result, and seal it again with the right checksum."""
    stored = json.loads(pick(random, corpus))
    name = "made" if random.random() < 0.2 else "result"
    forged = {**stored, name: mutate_json(random, stored[name])}
    try:
        text = json.dumps([forged["result"], forged["made"]], allow_nan=False, sort_keys=True)
    except ValueError:  # NaN, which no checksum is of
        text = ""
    sealed = {**forged, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return json.dumps(sealed).encode()


def nested(depth: int) -> str:
    """Return lists within lists."""
    return "[" * depth + "]" * depth


def _mutate(random: Random, value: Any) -> Any:
    inside = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not inside or random.random() < 0.15:
        return _other(random, value)
    key = inside[int(random.integers(len(inside)))]
    changed = dict(value) if isinstance(value, dict) else list(value)
    choice = random.random()
    if choice < 0.06:
        del changed[key]
    elif choice < 0.1 and isinstance(changed, list):
        changed *= int(random.integers(2, 40))
    elif choice < 0.1:
        changed["unknown"] = _odd(random)
    elif choice < 0.13:
        changed[key] = value
    else:
        changed[key] = _mutate(random, value[key])
    return changed


def _other(random: Random, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and abs(value) < 1e300 and random.random() < 0.5:
        return (value + 1, value - 1, -value, value * 1000, float(value), str(value), value / 2)[random.integers(7)]
    return _odd(random)


def _odd(random: Random) -> Any:
    return ODD[int(random.integers(len(ODD)))]


def _deep(random: Random, text: str) -> str:
    return text.replace("null", nested(int(random.integers(1, 200_000))), 1)


def _digits(random: Random, text: str) -> str:
    return text.replace("1", "1" * int(random.integers(1, 100_000)), 1)


def _twice(random: Random, text: str) -> str:
    keys = ['"key"', '"format"', '"sha256"', '"layers"', '"name"', '"figures"']
    return text.replace("{", "{" + keys[int(random.integers(len(keys)))] + ": 3, ", 1)


def _bare(random: Random, text: str) -> str:
    return (
        "\ufeff" + text,
        nested(int(random.integers(1, 300_000))),
        '{"a":' * 100_000,
        "[" * 900_000,
        "3",
        '"',
        "",
    )[int(random.integers(7))]


_LIKE_JSON = (*[lambda _, text: text] * 8, _deep, _digits, _twice, _bare)
