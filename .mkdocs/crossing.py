"""Names in docstrings become links: `Dense` leads to nnx.Dense, where nnx has one."""

from __future__ import annotations

import re
from typing import Any

import griffe

import nnx
from nnx import callbacks, errors, schedules

_TARGETS = {
    name: f"{module.__name__}.{name}"
    for module in (errors, schedules, callbacks, nnx)  # the last has the name that is used
    for name, value in vars(module).items()
    if isinstance(value, type) and not name.startswith("_") and value.__module__.startswith("nnx")
}
_NAME = re.compile(r"(?<![`\[\w])`(?:nnx\.)?([A-Z]\w+)`(?![`\]])")


def linked(text: str, own: str) -> str:
    """Return a docstring with links, but none from an object to itself."""

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        return f"[`{name}`][{_TARGETS[name]}]" if name in _TARGETS and name != own else found[0]

    return _NAME.sub(replace, text)


class Crossing(griffe.Extension):
    """The extension, as griffe looks for it."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of everything that is loaded."""
        if obj.docstring is not None:
            obj.docstring.value = linked(obj.docstring.value, obj.name)
