"""Putting a mutant in a file's place, in a process that ends with it.

Where the change lies in a function, the function gets the changed code and everything else stays. Where importing the
file runs what changed (constants, fields, defaults, tables), the file and all that imports it are imported again.
"""

from __future__ import annotations

import ast
import functools
import gc
import sys
from collections.abc import Iterable, Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from tests.mutation.dependents import reached
from tests.mutation.targets import ROOT

_PACKAGES = ("streams", "orchestration", "app", "tests")


class Functions:
    """The functions of the files to mutate as they are in this process, and what remembers their results."""

    def __init__(self, files: Iterable[Path]) -> None:
        names = {str(file) for file in files}
        alive = gc.get_objects()
        self._of: dict[str, list[FunctionType]] = {name: [] for name in names}
        for one in alive:
            if isinstance(one, FunctionType) and one.__code__.co_filename in names:
                self._of[one.__code__.co_filename].append(one)
        self._caches = [one for one in alive if isinstance(one, functools._lru_cache_wrapper) and _is_ours(one)]

    def swap(self, file: Path, tree: ast.Module) -> bool:
        """Give the functions of a file their code in another tree; False where that cannot be done, and nothing is.

        Args:
            file: The file.
            tree: Its tree with one change inside of a function.
        """
        before = dict(_codes(compile(file.read_text(), str(file), "exec", dont_inherit=True)))
        after = dict(_codes(compile(tree, str(file), "exec", dont_inherit=True)))
        changed = {key for key, code in before.items() if after.get(key) != code}
        found = [function for function in self._of[str(file)] if _key(function.__code__) in changed]
        new = [after.get(_key(function.__code__)) for function in found]
        if (
            not found
            or len({_key(function.__code__) for function in found}) < len(found)
            or any(
                code is None or code.co_freevars != function.__code__.co_freevars
                for function, code in zip(found, new, strict=True)
            )
        ):
            return False
        for function, code in zip(found, new, strict=True):
            assert code is not None
            function.__code__ = code
        for one in self._caches:
            one.cache_clear()
        return True


def _is_ours(one: functools._lru_cache_wrapper[object]) -> bool:
    return str(getattr(one, "__module__", "")).partition(".")[0] in _PACKAGES


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    yield _key(code), code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def dependents(file: Path) -> list[str]:
    """Return the names of the loaded modules of the repository that are a file or import it, through others too."""
    return [name for name, module in sorted(sys.modules.items()) if _depends(name, module, file)]


def _depends(name: str, module: ModuleType, file: Path) -> bool:
    place = getattr(module, "__file__", None)
    if place is None or not Path(place).is_relative_to(ROOT) or name.startswith("tests.mutation"):
        return False
    return name.partition(".")[0] in _PACKAGES and Path(place).suffix == ".py" and file in reached(Path(place))


def import_again(names: Iterable[str], file: Path, tree: ast.Module) -> None:
    """Forget modules, and have a file imported as another tree from now on.

    Args:
        names: The modules to forget.
        file: The file.
        tree: What it is from now on.
    """
    for name in names:
        sys.modules.pop(name, None)
        parent, _, last = name.rpartition(".")
        if parent in sys.modules and hasattr(sys.modules[parent], last):
            delattr(sys.modules[parent], last)
    code = compile(tree, str(file), "exec", dont_inherit=True)
    sys.meta_path.insert(0, _Instead(".".join(file.relative_to(ROOT).with_suffix("").parts), file, code))


class _Instead(MetaPathFinder, Loader):
    """Finds one module, and loads it from code that is given."""

    def __init__(self, name: str, file: Path, code: CodeType) -> None:
        self._name, self._file, self._code = name, file, code

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = spec_from_loader(fullname, self, origin=str(self._file))
        if spec is not None:
            spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)
