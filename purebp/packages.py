"""Optional packages: loaded by what needs them, with a clear word where one is missing."""

from importlib import import_module
from types import ModuleType

from purebp.errors import MissingPackageError

PACKAGES = {"sklearn": "scikit-learn"}


def load(module: str, *, needed_by: str, extra: str) -> ModuleType:
    """The module of an optional package, or an error that says how to install it."""
    try:
        return import_module(module)
    except ImportError:
        package = PACKAGES.get(root := module.partition(".")[0], root)
        raise MissingPackageError(
            f"{needed_by} needs {package}, which is not installed; pip install 'purebp[{extra}]'"
        ) from None
