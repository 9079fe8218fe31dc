"""Where the axes of a file's arrays lie in those of nnx.

A file may order and group axes otherwise than nnx: channels first, steps first, two directions apart. No layer of
nnx transposes; instead, each axis is known to consist of atoms, which keep their identity through `Transpose`,
`Reshape` and the like. A value has two descriptions in the same atoms: its axes in the file, and its axes in nnx.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from nnx.errors import ShapeError

Group = tuple["Atom", ...]
"""The atoms of one axis, the outermost first; an axis of one element has none."""

Axes = list[Group]


class Atom:
    """A part of an axis that is never cut, until it is: then it consists of parts.

    Attributes:
        size: how many elements; None where the file leaves it open.
        open: whether any other number would do.
        parts: what it was cut into; () while it is whole.
    """

    def __init__(self, size: int | None, open_: bool = False) -> None:
        """Take the size."""
        self.size, self.open = size, open_
        self.parts: Group = ()

    def cut(self, outer: int) -> None:
        """Cut it in two, the outer part of so many elements."""
        assert self.size is not None
        self.parts = Atom(outer), Atom(self.size // outer)


def whole(atoms: Iterable[Atom]) -> Group:
    """Return atoms with those that were cut replaced by their parts."""
    found: list[Atom] = []
    for atom in atoms:
        found.extend(whole(atom.parts) if atom.parts else (atom,))
    return tuple(found)


def flat(axes: Axes) -> Group:
    """Return all atoms in order."""
    return whole(atom for group in axes for atom in group)


def size(group: Group) -> int:
    """Return how many elements an axis has.

    Raises:
        ShapeError: the file leaves it open.
    """
    sizes = [atom.size for atom in whole(group)]
    known = [extent for extent in sizes if extent is not None]
    if len(known) < len(sizes):
        raise ShapeError("the file leaves the extent of an axis open that must be known; export it with a number")
    return math.prod(known)


def axis_of(extent: int | None) -> Group:
    """Return a new axis."""
    return () if extent == 1 else (Atom(extent, extent is None),)


def same(first: Axes, second: Axes) -> bool:
    """Tell whether two lists of axes are the same."""
    return [whole(group) for group in first] == [whole(group) for group in second]


def regroup(axes: Axes, target: Sequence[int | Group]) -> Axes:
    """Return what `Reshape` makes of axes; an extent is a number, an axis that stays, or -1 for the rest.

    Raises:
        ShapeError: the elements do not fit, or an axis would be cut across.
    """
    rest, front, back = list(flat(axes)), list[Group](), list[Group]()
    middle = next((place for place, extent in enumerate(target) if extent == -1), None)
    front.extend(_take(rest, extent, 0) for extent in target[:middle])
    if middle is None:
        if rest:
            raise ShapeError("the shape holds fewer elements than there are")
        return front
    back.extend(_take(rest, extent, -1) for extent in reversed(target[middle + 1 :]))
    return [*front, tuple(rest), *reversed(back)]


def _take(rest: list[Atom], extent: int | Group, end: int) -> Group:
    """Take the atoms of one axis from an end of the others."""
    taken: list[Atom] = []
    if not isinstance(extent, int):
        for atom in whole(extent)[:: 1 if end == 0 else -1]:
            if not rest or rest.pop(end) is not atom:
                raise ShapeError("an axis that the file leaves open would be cut across")
            taken.append(atom)
        return _ordered(taken, end)
    if rest and rest[end].open and rest[end].size == extent:
        return (rest.pop(end),)
    left = extent
    while left > 1:
        if not rest or rest[end].size is None or rest[end].open:
            raise ShapeError(f"there are no {extent} elements for an axis")
        atom = rest.pop(end)
        held = atom.size or 1
        if left % held:
            if held % left:
                raise ShapeError(f"an axis of {held} would be cut across by one of {extent}")
            atom.cut(left if end == 0 else held // left)
            outer, inner = atom.parts
            atom, remainder = (outer, inner) if end == 0 else (inner, outer)
            rest.insert(0 if end == 0 else len(rest), remainder)
            held = left
        taken.append(atom)
        left //= held
    return _ordered(taken, end)


def _ordered(taken: list[Atom], end: int) -> Group:
    return tuple(taken if end == 0 else reversed(taken))
