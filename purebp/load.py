"""Import somebody's file, for what is in it."""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from purebp.errors import TargetError


def import_file(path: Path) -> ModuleType:
    """Import a Python file: with its folder on the path as if it were run, or in its package."""
    if not path.is_file():
        raise TargetError(f"{path}: there is no such file")
    if path.suffix != ".py":
        raise TargetError(f"{path}: not a Python file, expected a name that ends in .py")
    root, name = package_of(path.resolve())
    sys.path.insert(0, str(root))
    try:
        return importlib.import_module(name) if "." in name else _import_alone(path, name)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        place = _line_in(error, path)
        raise TargetError(
            f"{path}: does not import: {type(error).__name__}: {error}{place}"
        ) from error
    finally:
        sys.path.remove(str(root))


def package_of(path: Path) -> tuple[Path, str]:
    """The folder that has to be on the path, and the name of the module from there."""
    root, name = path.parent, path.stem
    while (root / "__init__.py").is_file():
        root, name = root.parent, f"{root.name}.{name}"
    return root, name


def _import_alone(path: Path, name: str) -> ModuleType:
    """Import a file under its name, whatever else is called so."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _line_in(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return ""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).name == path.name
    ]
    return f" (line {lines[-1]})" if lines else ""
