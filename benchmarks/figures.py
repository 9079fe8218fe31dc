"""Pictures of results: time over size with the points where backends change places, and rooflines."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.kernels.work import WORK, Work

COLOURS = {"numpy": "#3465a4", "numba": "#d1581a", "cupy": "#2e8540"}
"""Of the bundled backends; others take what is left."""

_SPARE = ("#7b4ba0", "#8a6d1a", "#1a8a8a", "#a03050")
COLUMNS = 4

Rows = Sequence[Mapping[str, Any]]
Points = Sequence[tuple[float, float]]


def crossings(first: Points, second: Points) -> list[tuple[float, float]]:
    """Return the points (size, time) where two curves cross, on straight lines in logarithmic scales.

    Only sizes that both curves have count; a curve that touches the other without crossing it does not.
    """
    theirs = dict(second)
    common = [(math.log(x), math.log(y), math.log(theirs[x])) for x, y in sorted(first) if x in theirs]
    found = []
    for (x0, a0, b0), (x1, a1, b1) in itertools.pairwise(common):
        before, after = a0 - b0, a1 - b1
        if before * after < 0:
            share = before / (before - after)
            found.append((math.exp(x0 + share * (x1 - x0)), math.exp(a0 + share * (a1 - a0))))
    return found


def colour(backend: str, backends: Sequence[str]) -> str:
    """Return the colour of a backend."""
    others = [name for name in backends if name not in COLOURS]
    return COLOURS.get(backend) or _SPARE[others.index(backend) % len(_SPARE)]


def work_of(row: Mapping[str, Any]) -> Work:
    """Return the work of a row of the suite of kernels."""
    return WORK[row["kernel"]](*row["shape"])


def curves(rows: Rows, kernel: str) -> dict[str, list[tuple[float, float]]]:
    """Return, per backend, (footprint in bytes, seconds) in order of size."""
    found: dict[str, dict[float, float]] = {}
    for row in rows:
        if row["kernel"] == kernel:
            footprint = work_of(row).footprint
            held = found.setdefault(row["backend"], {})
            held[footprint] = min(row["seconds"], held.get(footprint, math.inf))
    return {backend: sorted(points.items()) for backend, points in found.items()}


def _backends(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["backend"] for row in rows))


def time_over_size(rows: Rows, capacity: Mapping[str, float], columns: int = COLUMNS) -> str:
    """Draw each kernel that has two sizes or more: time over footprint, one line per backend."""
    from matplotlib.figure import Figure

    names, backends = list(dict.fromkeys(row["kernel"] for row in rows)), _backends(rows)
    drawn = [name for name in names if any(len(points) > 1 for points in curves(rows, name).values())]
    height = -(-len(drawn) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.5 * max(height, 1)), layout="constrained")
    for place, name in enumerate(drawn, start=1):
        _draw_kernel(figure.add_subplot(height, columns, place), name, curves(rows, name), backends, capacity)
    handles = figure.axes[0].get_lines() if drawn else []
    named = [line for line in handles if not str(line.get_label()).startswith("_")]
    figure.legend(handles=named, loc="outside upper left", ncols=len(backends) + 1, frameon=False)
    return svg(figure, "sizes")


def _draw_kernel(
    axes: Any,
    name: str,
    found: Mapping[str, Points],
    backends: Sequence[str],
    capacity: Mapping[str, float],
) -> None:
    for backend, points in found.items():
        axes.loglog(*zip(*points, strict=True), "o-", ms=3, lw=1.4, color=colour(backend, backends), label=backend)
    crossed = [
        point
        for index, one in enumerate(backends)
        for other in backends[index + 1 :]
        for point in crossings(found.get(one, []), found.get(other, []))
    ]
    places = tuple(zip(*crossed, strict=True)) or ((), ())
    axes.plot(*places, "x", ms=8, mew=2, color="black", label="backends change places")
    for level, size in capacity.items():
        axes.axvline(size, color="#bbbbbb", lw=0.8, zorder=0)
        axes.annotate(level, (size, 0.98), xycoords=("data", "axes fraction"), va="top", ha="right", size=6)
    axes.set_title(name.replace("_", " "), size=9)
    axes.tick_params(which="both", labelsize=7)
    axes.set_xlabel("bytes of all arrays", size=7)
    axes.set_ylabel("seconds", size=7)


def roofline(rows: Rows, workloads: Rows, limits: Mapping[str, Any], columns: int = COLUMNS) -> str:
    """Draw products and whole workloads under the limits of FLOP/s, all other kernels under those of bytes/s.

    They stand side by side, or one above the other where there is no room for as many columns.
    """
    from matplotlib.figure import Figure

    beside = columns >= COLUMNS
    figure = Figure(figsize=(3.4 * columns, 5 if beside else 10), layout="constrained")
    left, right = figure.subplots(1, 2) if beside else figure.subplots(2, 1)
    backends = _backends([*rows, *workloads])
    products = [row for row in rows if row["flops_per_second"]]
    _draw_operations(left, products, workloads, limits, backends)
    _draw_bytes(right, [row for row in rows if not row["flops_per_second"]], limits, backends)
    for axes, corner in ((left, "lower right"), (right, "lower left")):
        axes.grid(True, which="major", lw=0.4, color="#dddddd")
        axes.legend(fontsize=7, loc=corner)
    return svg(figure, "roofline")


def _draw_operations(
    axes: Any, rows: Rows, workloads: Rows, limits: Mapping[str, Any], backends: Sequence[str]
) -> None:
    reach = [row["intensity"] for row in (*rows, *workloads)] or [1.0]
    span = [min(reach) / 2, max(reach) * 2]
    for level, rate in limits["bandwidth"].items():
        knee = limits["sgemm"] / rate
        ends = [span[0], min(max(knee, span[0]), span[1])]
        axes.loglog(ends, [min(x * rate, limits["sgemm"]) for x in ends], color="#999999", lw=1)
        axes.annotate(level, (ends[0], min(ends[0] * rate, limits["sgemm"])), size=7, va="bottom")
    axes.loglog(span, [limits["sgemm"]] * 2, color="black", lw=1, label="best product measured")
    for backend in backends:
        shade = colour(backend, backends)
        kernels = [(row["intensity"], row["flops_per_second"]) for row in rows if row["backend"] == backend]
        whole = [row for row in workloads if row["backend"] == backend]
        _scatter(axes, kernels, "o", shade, f"{backend}, products")
        _scatter(
            axes, [(row["intensity"], row["flops_per_second"]) for row in whole], "*", shade, f"{backend}, W1 to W4"
        )
        for row in whole:
            place = row["intensity"], row["flops_per_second"]
            axes.annotate(row["workload"], place, size=6, xytext=(3, 3), textcoords="offset points")
    axes.set_xlabel("floating-point operations per byte that must move")
    axes.set_ylabel("operations per second")


def _scatter(axes: Any, points: Points, mark: str, shade: str, label: str) -> None:
    if points:
        size = 9 if mark == "*" else 4
        axes.loglog(*zip(*points, strict=True), mark, ms=size, color=shade, label=label, alpha=0.85)


def _draw_bytes(axes: Any, rows: Rows, limits: Mapping[str, Any], backends: Sequence[str]) -> None:
    largest = max((work_of(row).footprint for row in rows), default=1e9)
    for key, label, style in (("bandwidth", "limit, to other memory", "-"), ("in_place", "limit, in place", "--")):
        edges, start = [], 1e3
        for level, rate in limits[key].items():
            stop = limits["capacity"].get(level, max(largest, start) * 2)
            edges += [(start, rate), (stop, rate)]
            start = stop
        axes.loglog(*zip(*edges, strict=True), style, color="black", lw=1, label=label)
    for backend in backends:
        points = [(work_of(row).footprint, row["bytes_per_second"]) for row in rows if row["backend"] == backend]
        _scatter(axes, points, "o", colour(backend, backends), backend)
    axes.set_xlabel("bytes of all arrays")
    axes.set_ylabel("bytes per second that must move")


def svg(figure: Any, salt: str) -> str:
    """Return the figure as an SVG element; the salt keeps the names inside apart from other figures'."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
