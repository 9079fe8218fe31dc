"""Modules: all code of one kernel, optimised once and turned into an object file.

A library of Numba's own optimises and generates code for every function by itself, and again for what is compiled
into its callers, which takes more than twice as long.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm

from nnx_numba.internals import CodeLibrary, engine, generator, linkable, target_machine

_LEVEL = 3
"""How hard LLVM tries. Lower levels are no faster: most code is vectors already, and is not made longer by it."""


class Module(CodeLibrary):  # type: ignore[misc]  # Any, see internals
    """The library that Numba puts the code of one kernel into."""

    def __init__(self, name: str) -> None:
        """Begin without code."""
        super().__init__(generator(), name)
        self._code: Any = None
        self._libraries: list[Any] = []

    def add_ir_module(self, ir_module: Any) -> None:
        """Add what was emitted."""
        code = llvm.parse_assembly(str(ir_module))
        if self._code is None:
            self._code = code
        else:
            self._code.link_in(code)

    def add_linking_library(self, library: Any) -> None:
        """Note what Numba compiled before and the code calls."""
        if library not in self._libraries:
            self._libraries.append(library)

    def finalize(self) -> None:
        """Link, and optimise; what the function named like the library does not need is dropped."""
        for code in filter(None, map(linkable, self._libraries)):
            self._code.link_in(code, preserve=True)
        self._code.verify()
        for symbols in (self._code.functions, self._code.global_variables):
            for symbol in symbols:
                if not symbol.is_declaration and symbol.name != self.name:
                    symbol.linkage = "internal"
        options = llvm.create_pipeline_tuning_options(_LEVEL)
        options.loop_vectorization = True
        passes = llvm.create_pass_builder(target_machine(), options)
        passes.getModulePassManager().run(self._code, passes)
        self._finalized = True

    def get_function(self, name: str) -> Any:
        """Return a function."""
        return self._code.get_function(name)

    def get_llvm_str(self) -> str:
        """Return LLVM's code as text."""
        return str(self._code)

    def get_asm_str(self) -> str:
        """Return the processor's code as text."""
        return str(target_machine().emit_assembly(self._code))

    def object_file(self) -> bytes:
        """Return the processor's code."""
        self._ensure_finalized()
        made: bytes = target_machine().emit_object(self._code)
        return made


def load(object_file: bytes, name: str) -> int:
    """Put an object file into memory, and return the address of a function of it."""
    engine()._ee.add_object_file(llvm.ObjectFileRef.from_data(object_file))
    engine().finalize_object()
    return int(engine().get_function_address(name))
