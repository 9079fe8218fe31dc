"""The one way that leads from a file's input to its output: layers in sequence, and the values between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnx.errors import ShapeError
from nnx.layers import Flatten, Reshape, Residual, TimeDistributed
from nnx.onnx.axes import Atom, Axes, Group, axis_of, flat, regroup, same, size, whole
from nnx.onnx.steps import Step


class Layout:
    """How nnx has the axes of a value; that of the input is chosen by the first layer that cares.

    Attributes:
        axes: the axes in nnx, the batch first; None as long as they are not chosen.
        default: those of the file.
    """

    def __init__(self, axes: Axes | None, default: Axes) -> None:
        """Take both."""
        self.axes, self.default = axes, default

    def settle(self) -> Axes:
        """Return the axes in nnx; those of the file where nothing has chosen others."""
        if self.axes is None:
            self.axes = list(self.default)
        return self.axes


@dataclass(frozen=True, eq=False)
class Value:
    """What flows between nodes.

    Attributes:
        place: marks the place in the trunk after which it is found.
        axes: those in the file.
        layout: those in nnx.
        part: which output of a recurrent layer it is: "Y", "Y_h" or "Y_c"; "" for other layers.
    """

    place: object
    axes: Axes
    layout: Layout
    part: str = ""

    def seen_as(self, axes: Axes) -> Value:
        """Return the same elements, the file having them in other axes."""
        return Value(self.place, axes, self.layout, self.part)


class Trunk:
    """Layers found so far.

    Attributes:
        steps: the layers.
        start: what flows in.
    """

    def __init__(self, axes: Axes) -> None:
        """Take the axes of the input in the file."""
        self.steps: list[Step] = []
        self._places: list[object] = [object()]
        self.start = Value(self._places[0], axes, Layout(None, axes))

    def follow(self, value: Value, step: Step, axes: Axes, layout: Layout, part: str = "") -> Value:
        """Put a layer behind a value, which must be at the end of the trunk; return its output."""
        self.need_end(value)
        self.steps.append(step)
        self._places.append(object())
        return Value(self._places[-1], axes, layout, part)

    def elementwise(self, value: Value, step: Step) -> Value:
        """Put a layer behind a value that leaves its axes as they are, and does not care for their order."""
        return self.follow(value, step, value.axes, value.layout)

    def need_end(self, value: Value) -> None:
        """Raise ShapeError unless nothing follows the value yet."""
        if value.place is not self._places[-1]:
            raise ShapeError(
                "its input goes another way too; nnx knows branches that are added to what they left (Residual), "
                "x times sigmoid(x) (silu), and no others"
            )

    def since(self, value: Value) -> int | None:
        """Return how many layers come before a value; None if it lies on no way to the end."""
        return self._places.index(value.place) if value.place in self._places else None

    def last_step(self, value: Value) -> Step | None:
        """Return the layer that a value at the end of the trunk comes from."""
        return self.steps[-1] if self.steps and value.place is self._places[-1] else None

    def change(self, value: Value, steps: list[Step], count: int) -> Value:
        """Replace the last so many layers, of which the value comes, by others."""
        self.need_end(value)
        keep = len(self.steps) - count
        self.steps[keep:] = steps
        self._places[keep + 1 :] = [object() for _ in steps]
        return Value(self._places[-1], value.axes, value.layout)

    def residual(self, start: Value, end: Value) -> Value:
        """Add to a value what layers have made of it: they become a `Residual`."""
        count = self.since(start)
        if count is None:
            raise ShapeError("it adds what has left the way to the output before")
        end = self._like(end, start)
        inner = self.steps[count:]
        end = self.change(end, [Step(Residual, inner=inner)], len(inner))
        return Value(end.place, start.axes, start.layout)

    def _like(self, end: Value, start: Value) -> Value:
        """Return a value with its axes in nnx as those of another, and check that the file has them alike."""
        ours, theirs = end.layout.settle(), start.layout.settle()
        if len(ours) != len(theirs):
            cut = _cut_like(ours, theirs)
            end = self._reshaped(end, cut)
            ours = cut
        if _signature(end.axes, ours) != _signature(start.axes, theirs):
            raise ShapeError("it adds two values whose axes lie otherwise; nnx has no layer that transposes")
        return end

    def arrange(self, value: Value, wanted: Axes) -> tuple[Value, bool]:
        """Bring a value to these axes in nnx, by `Reshape` if need be.

        Returns:
            the value, and whether the first axis holds steps besides the batch, so that the layer which asks for
            it must be put into `TimeDistributed`.

        Raises:
            ShapeError: they would have to be transposed.
        """
        self.need_end(value)
        layout = value.layout
        if layout.axes is None and Counter(map(whole, wanted)) == Counter(map(whole, layout.default)):
            layout.axes = wanted
        axes = layout.settle()
        if same(axes, wanted):
            return value, False
        if flat(axes) != flat(wanted):
            raise ShapeError("nnx has no layer that transposes its input for it")
        if whole(axes[0]) == whole(wanted[0]):
            return self._reshaped(value, wanted), False
        if whole(wanted[0]) != flat(axes[:2]):
            raise ShapeError("its batch is not that of the input")
        unfolded = [axes[0], axes[1], *wanted[1:]]
        return (value if same(axes, unfolded) else self._reshaped(value, unfolded)), True

    def apply(self, value: Value, step: Step, wanted: Axes, made: Axes, axes: Axes) -> Value:
        """Put a layer behind a value that wants certain axes in nnx, and makes others.

        Args:
            value: its input.
            step: the layer.
            wanted: the axes of its input in nnx, the batch first.
            made: the axes of its output in nnx.
            axes: those of its output in the file.
        """
        value, folded = self.arrange(value, wanted)
        if not folded:
            return self.follow(value, step, axes, Layout(made, axes))
        before = value.layout.settle()
        layout = Layout([before[0], before[1], *made[1:]], axes)
        return self.follow(value, Step(TimeDistributed, inner=[step]), axes, layout)

    def reshape(self, value: Value, target: Sequence[int | Group]) -> Value:
        """Give a value another shape in the file; a layer follows only where its axes are cut across.

        Raises:
            ShapeError: the elements do not fit.
        """
        try:
            return value.seen_as(regroup(value.axes, target))
        except ShapeError:
            axes = value.layout.settle()
            extents = [extent for extent in target if isinstance(extent, int) and extent > 0]
            whole_known = len(extents) == len(target) - 1 and same(value.axes[:1], axes[:1])
            first_stays = target[0] == -1 or (not isinstance(target[0], int) and same([target[0]], axes[:1]))
            if not whole_known or not first_stays or flat(axes) != flat(value.axes):
                raise
            if math.prod(extents) != size(flat(axes[1:])):
                raise
        made = [axes[0], *(axis_of(extent) for extent in extents)]
        return self._reshaped(value, made).seen_as(made)

    def _reshaped(self, value: Value, wanted: Axes) -> Value:
        extents = tuple(size(group) for group in wanted[1:])
        step = Step(Flatten) if len(extents) == 1 else Step(Reshape, {"shape": extents})
        return self.follow(value, step, value.axes, Layout(wanted, value.axes), value.part)

    def bring_last(self, value: Value, group: Group) -> tuple[Value, NDArray[np.intp] | None]:
        """Bring an axis of the file, or several joined, to the end in nnx.

        Returns:
            the value; and, where nnx has its elements in another order, which of the file's comes where.

        Raises:
            ShapeError: they would have to be transposed.
        """
        self.need_end(value)
        layout, group = value.layout, whole(group)
        if layout.axes is None:
            others = [axis for axis in layout.default if whole(axis) != group]
            one_axis = bool(group) and len(others) == len(layout.default) - 1
            layout.axes = [*others, group] if one_axis else list(layout.default)
        axes = layout.settle()
        end = flat(axes)[len(flat(axes)) - len(group) :]
        if set(end) != set(group):
            raise ShapeError("the axis that it works on is not the last one of nnx, which transposes nothing")
        wanted = [*_cut_off(axes, len(group)), end]
        if len(axes) < 2 or not wanted[:-1] or whole(wanted[0]) != whole(axes[0]):
            raise ShapeError("it works on the axis of the batch")
        if whole(axes[-1]) != end:
            value = self._reshaped(value, wanted)
        return value, _order(group, end)

    def finish(self, value: Value) -> Axes:
        """Bring the output to the file's axes, as far as reshaping can; return those of nnx.

        Axes of one element may be missing, and the order may be another one, the batch being first.
        """
        self.need_end(value)
        axes = value.layout.settle()
        if same(axes, value.axes):
            return axes
        if flat(axes) == flat(value.axes) and same(axes[:1], value.axes[:1]):
            return self._reshaped(value, value.axes).layout.settle()
        filled = [whole(group) for group in value.axes if whole(group)]
        order = flat(axes)
        if any(group[0] not in order for group in filled):
            raise ShapeError("the output has axes that are not those of its layers")
        wanted = sorted(filled, key=lambda group: order.index(group[0]))
        if not whole(axes[0]):  # a batch of one
            wanted.insert(0, ())
        if flat(wanted) != order or wanted[:1] != [whole(axes[0])]:
            raise ShapeError("the output has axes that nnx would have to transpose")
        if [whole(group) for group in axes if whole(group)] == [group for group in wanted if group]:
            return axes
        return self._reshaped(value, wanted).layout.settle()


def _cut_off(axes: Axes, count: int) -> Axes:
    """Return axes without so many atoms at their end; those of one element that lie there go with them."""
    left, kept = len(flat(axes)) - count, list[Group]()
    for axis in axes:
        taken = whole(axis)[:left]
        if kept and not left:
            break
        kept.append(taken)
        left -= len(taken)
    return kept


def _cut_like(axes: Axes, like: Axes) -> Axes:
    """Return axes grouped as others are, whose extents they must have."""
    return [axes[0], *regroup([flat(axes[1:])], [size(group) for group in like[1:]])]


def _order(group: Group, end: Group) -> NDArray[np.intp] | None:
    if group == end:
        return None
    sizes = [size((atom,)) for atom in group]
    return np.arange(size(group)).reshape(sizes).transpose([group.index(atom) for atom in end]).ravel()


def _signature(axes: Axes, layout: Axes) -> Sequence[list[tuple[int, int | None]]]:
    """Return where the parts of each axis of the file lie in nnx."""
    places: dict[Atom, int] = {atom: place for place, atom in enumerate(flat(layout))}
    return [[(places[atom], atom.size) for atom in whole(axis)] for axis in axes]
