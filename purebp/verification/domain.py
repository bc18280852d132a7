"""Where the numbers of an argument lie, as a user says: `domain={"x": "positive", "p": (0, 1)}`."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from purebp.errors import OptionError
from purebp.op import NONZERO, POSITIVE, REAL, Domain, between
from purebp.verification.values import draw_values

NAMES = {"real": REAL, "positive": POSITIVE, "nonzero": NONZERO}


def read_domains(
    target: str, arguments: tuple[str, ...], domain: Mapping[str, Any]
) -> dict[str, Domain]:
    """A Domain for each argument that is named: by a name, two bounds, or a Domain itself."""
    for name in domain:
        if name not in arguments:
            known = ", ".join(arguments)
            raise OptionError(f"{target}: domain names {name!r}, expected one of {known}")
    return {name: _read(target, name, value) for name, value in domain.items()}


def _read(target: str, name: str, value: Any) -> Domain:
    if isinstance(value, Domain):
        return value
    if isinstance(value, str) and value in NAMES:
        return NAMES[value]
    match value:
        case (int() | float() as low, int() | float() as high) if low < high:
            return between(float(low), float(high))
        case _:
            pass
    raise OptionError(
        f"{target}: the domain of {name} is {value!r}, expected one of {', '.join(NAMES)}, or two "
        "bounds, the lower one first, as in (0, 1)"
    )


def put_inside(leaf: Any, domain: Domain, rng: np.random.Generator) -> Any:
    """Numbers outside of a domain are drawn anew, inside."""
    if domain.kind == "real" or not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    values = np.asarray(leaf, np.float64)
    fresh = draw_values(rng, values.shape, domain, "normal")
    with np.errstate(invalid="ignore"):
        return jnp.asarray(np.where(_is_inside(values, domain), values, fresh), leaf.dtype)


def _is_inside(values: np.ndarray, domain: Domain) -> np.ndarray:
    if domain.kind == "nonzero":
        return np.isfinite(values) & (values != 0)
    low = 0.0 if domain.kind == "positive" else domain.low
    return (values > low) & (values < domain.high)
