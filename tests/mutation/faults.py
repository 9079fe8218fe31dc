"""The faults: what mutmut's operators make of a module, one at a time.

They change a number, a comparison, an operator, `and` and `or`, a text, an argument (None in its place, or left
out), what is assigned (None), one arm of a choice, True and False. mutmut itself passes over functions with
decorators, since it keeps all versions of a function side by side; here each version is a module of its own, and
those functions count too.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode


@dataclass(frozen=True)
class Fault:
    """One changed version of a module.

    Attributes:
        number: its place among all of them, from 0; the same as long as the module is.
        code: the whole module.
        change: the lines that differ, as a diff without context.
    """

    number: int
    code: str
    change: str


class _Visitor(MutationVisitor):
    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        decorated = isinstance(node, cst.FunctionDef) and bool(node.decorators)
        return not decorated and super()._skip_node_and_children(node)


def faults(module: Path) -> list[Fault]:
    """Return all faults of a module, in the order of its lines; two that read alike count once."""
    source = module.read_text()
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    codes = {}
    for mutation in visitor.mutations:
        changed = wrapper.module.deep_replace(mutation.original_node, mutation.mutated_node)
        assert isinstance(changed, cst.Module)
        codes[changed.code] = _change(source, changed.code)
    codes.pop(source, None)
    return [Fault(number, code, change) for number, (code, change) in enumerate(codes.items())]


def _change(before: str, after: str) -> str:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    place = lines[0].split()[1].lstrip("-").partition(",")[0]
    return "\n".join([f"line {place}", *(line for line in lines[1:] if not line.startswith("@@"))])
