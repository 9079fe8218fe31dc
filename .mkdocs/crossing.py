"""What griffe has read of nnx, made ready for pages: names become links, signatures say what is worth saying.

A name in a docstring leads to its entry, where the site has one: `windows` to the function of the same package,
`Dense` to nnx's, `reset` to a method of the class that the docstring belongs to, `fit` to that of `Sequential`.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import griffe

import nnx
from nnx import callbacks, errors, initializers, interface, losses, optimizers, schedules

sys.path.append(str(Path(__file__).parent))  # mkdocstrings loads this file by its path

from layout import markdown

_MODULES = (interface, losses, initializers, optimizers, errors, schedules, callbacks, nnx)
_TARGETS = {name: f"{module.__name__}.{name}" for module in _MODULES for name in module.__all__}
_CLASSES = {name: value for module in _MODULES for name, value in vars(module).items() if inspect.isclass(value)}
_NAME = re.compile(r"(?<![`\[\w])`([A-Za-z][\w.]*)`(?![`\]])")
_TELLS_NOTHING = ("Any", "Array")
_OF_THEIR_OWN = ("nnx.interface", "nnx.sklearn", "nnx.stepwise")
"""Packages that do not mean `Sequential` when they speak of `fit`, `predict` or `memory`."""


def _homes() -> dict[str, str]:
    """Return the public class that shows the methods of a class, by the names of both: bases have no page."""
    return {base.__name__: name for name in ("Backend", "Sequential") for base in _CLASSES[name].__mro__[:-1]}


_HOMES = _homes()


@cache
def public_in(package: str) -> frozenset[str]:
    """Return the public names of nnx.callbacks, say, read from its file: what it needs may not be installed."""
    spec = find_spec(package) if package.count(".") == 1 else None
    if spec is None or spec.origin is None:
        return frozenset()
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def target_of(name: str, owner: str, package: str) -> str | None:
    """Return the identifier that a name stands for in a docstring of a class of a package; None if it is none."""
    whole, name = name.startswith("nnx."), name.removeprefix("nnx.")
    head, _, tail = name.partition(".")
    if name in public_in(package) and not whole:
        return f"{package}.{name}"
    if name in _TARGETS:
        return _TARGETS[name]
    if tail and head in _CLASSES:
        return f"{_TARGETS[head]}.{tail}" if head in _TARGETS and hasattr(_CLASSES[head], tail) else None
    if tail and head in nnx.__all__:
        return f"nnx.{name}"
    if whole:
        return None
    homes = [_HOMES.get(owner, owner), *(() if package in _OF_THEIR_OWN else ("Sequential",))]
    found = [home for home in homes if home in _TARGETS and hasattr(_CLASSES.get(home), name)]
    return f"{_TARGETS[found[0]]}.{name}" if found else None


def linked(text: str, own: str, owner: str, package: str) -> str:
    """Return a docstring with links, but none from an object to itself; one to what has no entry stays code."""

    def replace(found: re.Match[str]) -> str:
        target = None if found[1] == own else target_of(found[1], owner, package)
        if target is None:
            return found[0]
        return f'<autoref optional identifier="{target}"><code>{found[1]}</code></autoref>'

    return _NAME.sub(replace, text)


class Crossing(griffe.Extension):
    """The extension, as griffe looks for it."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of everything that is loaded; one that leads to another says nothing."""
        if obj.docstring is None:
            return
        special = obj.name.startswith("__") and obj.name not in ("__init__", "__call__")
        if special or obj.docstring.value.startswith("See `"):
            obj.docstring = None
            return
        owner = obj.name if obj.is_class else obj.parent.name if obj.parent is not None else ""
        package = ".".join(obj.path.split(".")[:2])
        indented = "formulas" if package == "nnx.interface" else "code"
        obj.docstring.value = linked(markdown(obj.docstring.value, indented), obj.name, owner, package)

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Leave out annotations that say nothing: arrays are described by their shapes."""
        for parameter in func.parameters:
            if str(parameter.annotation) in _TELLS_NOTHING:
                parameter.annotation = None
        if str(func.returns) == "None":
            func.returns = None

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Leave out values that are code of several lines: the docstring says what they are."""
        if "{" in str(attr.value):
            attr.value = None

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Let the docstring of a class stand for that of its `__init__`."""
        maker = cls.members.get("__init__")
        if cls.docstring is not None and maker is not None:
            maker.docstring = None
