"""Puts the built-in data set into the wheel; an editable install reads it from the checkout instead.

A plain `force-include` would do for the wheel, but in an editable install it would leave a folder `nnx` with
nothing but data in site-packages, which hides the real package.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataHook(BuildHookInterface[Any]):
    """Adds data/digits.h5 as nnx/data/digits.h5."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a build; `version` is "editable" or "standard"."""
        if version != "editable":
            build_data["force_include"]["data/digits.h5"] = "nnx/data/digits.h5"
