"""Find what to verify in somebody's file: `path/to/file.py:my_layer` or `file.py:fwd,bwd`."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from purebp.compat import is_custom_rule
from purebp.errors import TargetError
from purebp.op import Op


def load_targets(text: str) -> dict[str, Any]:
    """The targets that a command-line argument names; all of the file's if it names none."""
    path, _, names = text.partition(":")
    module = import_file(Path(path))
    if not names:
        return _find_all(path, module)
    found = [_attribute(path, module, name) for name in names.split(",")]
    return {names: found[0] if len(found) == 1 else tuple(found)}


def import_file(path: Path) -> ModuleType:
    """Import a Python file, with its folder on the path as if it were run."""
    if not path.is_file():
        raise TargetError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path}: not a Python file, expected a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        place = _line_in(error, path)
        raise TargetError(
            f"{path}: does not import: {type(error).__name__}: {error}{place}"
        ) from error
    finally:
        sys.path.pop(0)
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


def _attribute(path: str, module: ModuleType, name: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    has = ", ".join(key for key, value in vars(module).items() if _is_target(value)) or "none"
    raise TargetError(f"{path}: has no {name!r}; what it has to verify: {has}")


def _find_all(path: str, module: ModuleType) -> dict[str, Any]:
    found = {key: value for key, value in vars(module).items() if _is_target(value)}
    if not found:
        raise TargetError(
            f"{path}: found nothing to verify; expected a purebp Op or a jax.custom_vjp function, "
            "or name a pair as file.py:my_fwd,my_bwd"
        )
    return found


def _is_target(value: Any) -> bool:
    return isinstance(value, Op) or is_custom_rule(value)
