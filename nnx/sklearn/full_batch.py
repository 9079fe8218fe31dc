"""solver="lbfgs": SciPy's L-BFGS-B on the loss of all examples at once, with the options scikit-learn gives it."""

from __future__ import annotations

import math
from typing import Any

from scipy.optimize import OptimizeResult, minimize

from nnx.errors import DivergenceError
from nnx.objective import Objective
from nnx.sklearn.settings import Settings


def minimise(objective: Objective, settings: Settings) -> OptimizeResult:
    """Find parameters at which the loss has no slope, from those of the model, and give them to it.

    Returns:
        What `scipy.optimize.minimize` does: the loss as `fun`, `nit` iterations, whether it came to an end as
        `success`.

    Raises:
        DivergenceError: the loss is NaN or infinite; the model is left as it was.
    """
    told = _Told() if settings.verbose else None
    options = {"maxiter": settings.max_iter, "maxfun": settings.max_fun, "gtol": settings.tol}
    start = objective.values()
    found = minimize(objective, start, jac=True, method="L-BFGS-B", callback=told, options=options)
    if not math.isfinite(found.fun):
        raise DivergenceError(
            f"The loss became NaN or infinite after {_counted(found.nit, 'iteration')} of L-BFGS. The model is "
            "left as it was before training. Scale the inputs, and the targets of a regression."
        )
    objective.assign(found.x)
    return found


def unfinished(found: OptimizeResult, settings: Settings) -> str:
    """Return why L-BFGS ended too early, and what to do; an empty text if it did not."""
    if found.success:
        return ""
    done = f"{_counted(found.nit, 'iteration')} and {_counted(found.nfev, 'evaluation')}"
    where = f"L-BFGS ended after {done} of the loss,"
    if found.nit >= settings.max_iter:
        return f"{where} at max_iter={settings.max_iter}, before it converged; allow more, or scale the inputs."
    if found.nfev >= settings.max_fun:
        return f"{where} at max_fun={settings.max_fun}, before it converged; allow more, or scale the inputs."
    return f"{where} since it found no lower loss along its direction ({found.message}); scale the inputs."


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


class _Told:
    """Prints the loss of every iteration."""

    def __init__(self) -> None:
        self._iteration = 0

    def __call__(self, intermediate_result: Any) -> None:
        """See `scipy.optimize.minimize`, which goes by the name of the argument."""
        self._iteration += 1
        print(f"Iteration {self._iteration}, loss = {intermediate_result.fun:.8f}")
