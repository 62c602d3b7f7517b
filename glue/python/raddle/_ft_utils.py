"""Answers ``import ft_utils.weave`` with raddle's weave where no ft_utils is installed.

The finder goes to the end of ``sys.meta_path``, so an installed ft_utils is found before it.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import raddle
import raddle.weave


class _Package(ModuleType):
    @property
    def ENABLE_EXPERIMENTAL(self) -> bool:
        return raddle.ENABLE_EXPERIMENTAL

    @ENABLE_EXPERIMENTAL.setter
    def ENABLE_EXPERIMENTAL(self, value: bool) -> None:
        raddle.ENABLE_EXPERIMENTAL = value


class _Weave(ModuleType):
    _NAMES = ("register_native_destructor", "unregister_native_destructor")

    def __getattr__(self, name: str):
        # Looked up each time: raddle.weave replaces its functions when they are first let in.
        if name in self._NAMES:
            return getattr(raddle.weave, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self):
        return [*super().__dir__(), *self._NAMES]


class _Finder:
    """Finder and loader of the two modules."""

    @classmethod
    def find_spec(cls, fullname: str, path=None, target=None) -> ModuleSpec | None:
        if fullname == "ft_utils":
            return ModuleSpec(fullname, cls, origin="raddle", is_package=True)
        # Not below an ft_utils that was found elsewhere.
        if fullname == "ft_utils.weave" and isinstance(sys.modules.get("ft_utils"), _Package):
            return ModuleSpec(fullname, cls, origin="raddle")
        return None

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        if spec.name == "ft_utils":
            return _Package(spec.name, "raddle's stand-in for the package that is not installed.")
        return _Weave(spec.name, raddle.weave.__doc__)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Nothing is left to do: the classes hold all there is."""


def install() -> None:
    """Put the finder at the end of ``sys.meta_path``, once."""
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
