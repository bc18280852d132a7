"""Values as Python code: arrays, trees of them, and modules by their constructors."""

import dataclasses
import inspect
import math
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.verification.natures import is_key
from purebp.verification.origin import Import, import_of

INSTALLED = {"site-packages", "dist-packages"}
OF_LINEN = {"parent", "name"}
"""Fields of every module of flax.linen, which are set when it is called."""


class UnwritableError(Exception):
    """There is no script, and why."""


def written(value: Any) -> str:
    """A value as Python code."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {written(each)}" for key, each in value.items()) + "}"  # type: ignore[reportUnknownVariableType]  # any tree may come
    if type(value) in {tuple, list}:
        parts = ", ".join(map(written, value))
        return f"[{parts}]" if isinstance(value, list) else f"({parts}{',' if parts else ''})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = ", ".join(f"{key}={written(each)}" for key, each in _fields(value).items())
        return f"{_name(type(value))}({given})"
    if isinstance(value, type) or callable(value):
        return _name(value)
    if not hasattr(value, "dtype"):
        raise UnwritableError(f"an argument is a {type(value).__name__}")
    if is_key(value):
        return f"jax.random.wrap_key_data({written(jax.random.key_data(value))})"
    return _array(value)


def imports_for(value: Any) -> list[Import]:
    """What the code of a value has to import."""
    if isinstance(value, dict):
        return [found for each in value.values() for found in imports_for(each)]  # type: ignore[reportUnknownVariableType]  # any tree may come
    if type(value) in {tuple, list}:
        return [found for each in value for found in imports_for(each)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = [found for each in _fields(value).values() for found in imports_for(each)]
        return [*imports_for(type(value)), *inside]
    is_named = isinstance(value, type) or (callable(value) and not hasattr(value, "dtype"))
    if not is_named or _is_of_jax(value):
        return []
    found = _import_of(value)
    if found is None:
        raise UnwritableError(f"{_name(value)} has no name at the top level of a file")
    return [found]


def _fields(value: Any) -> dict[str, Any]:
    """What the constructor of a module has to be given."""
    init = inspect.unwrap(type(value).__init__)
    if getattr(init, "__code__", None) is None or init.__code__.co_filename != "<string>":
        raise UnwritableError(f"{type(value).__name__} has a constructor of its own")
    fields = (f for f in dataclasses.fields(value) if f.init and f.name not in OF_LINEN)
    found = {f.name: (f.default, getattr(value, f.name)) for f in fields}
    return {name: each for name, (default, each) in found.items() if each is not default}


def _name(value: Any) -> str:
    if _is_of_jax(value):
        return f"jax.nn.{value.__name__}"
    found = _import_of(value)
    return getattr(value, "__name__", type(value).__name__) if found is None else found.name


def _is_of_jax(value: Any) -> bool:
    name = getattr(value, "__name__", "")
    return bool(name) and getattr(jax.nn, name, None) is value


def _import_of(value: Any) -> Import | None:
    name, module = getattr(value, "__name__", ""), getattr(value, "__module__", "")
    home = sys.modules.get(module)
    parts = Path(getattr(home, "__file__", None) or "").parts
    if INSTALLED & set(parts):
        return Import("", module, name) if getattr(home, name, None) is value else None
    return import_of(value, value.__call__ if isinstance(value, type) else value)


def _array(value: Any) -> str:
    if value.dtype == jax.dtypes.float0:
        return f"jax.numpy.zeros({value.shape}, jax.dtypes.float0)"
    dtype = jnp.dtype(value.dtype).name
    exact = np.asarray(value)
    if dtype in {"bfloat16", "float16"}:
        exact = exact.astype(np.float32)
    if not exact.size:
        return f'jnp.zeros({exact.shape}, "{dtype}")'
    text = np.array2string(
        exact, separator=", ", threshold=sys.maxsize, floatmode="unique", max_line_width=90
    )
    text = text.replace("nan", "jnp.nan").replace("inf", "jnp.inf")
    rows = text if "\n" not in text else f"\n{text}"
    return f'jnp.array({rows}, "{dtype}")'


def number(value: float) -> str:
    """A number as Python code, nan and infinity too."""
    return repr(value) if math.isfinite(value) else f'float("{value}")'
