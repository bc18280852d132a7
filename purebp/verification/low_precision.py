"""A pair, and autodiff of its reference, on the inputs of a case in 16 bits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import jit_once
from purebp.verification.cases import Case
from purebp.verification.layout import as_float64, flat
from purebp.verification.probe import Probe
from purebp.verification.truth import Truth


class SixteenBits(NamedTuple):
    """The cotangents of the pair in a 16-bit dtype, and the truth at those rounded inputs."""

    bars: np.ndarray
    truth: Truth


def in_sixteen_bits(probe: Probe, case: Case, dtype: str) -> SixteenBits:
    """The pair on the inputs of a case, rounded to a 16-bit dtype.

    The reference runs on these inputs in float32: its noise is in units of eps, whatever eps.
    """
    low, rest, bar = _rounded_inputs(probe, case, dtype)
    primal, bars = probe.pull_quickly(low, rest, bar)
    wide = [leaf.astype(np.float32) for leaf in low]
    truth = probe.oracle.truth(wide, rest, as_float64(bar), flat(primal), case.seed + 3)
    return SixteenBits(flat(bars), truth)


def autodiff_in(probe: Probe, case: Case, dtype: str) -> np.ndarray:
    """The cotangents that autodiff of the reference has, all in a 16-bit dtype."""
    low, rest, bar = _rounded_inputs(probe, case, dtype)

    def derive(low: Any, rest: Any, bar: Any) -> Any:
        y, pullback = jax.vjp(lambda x: probe.reference_leaves(x, rest), low)
        return pullback([b.astype(leaf.dtype) for b, leaf in zip(bar, y, strict=True)])[0]

    return flat(jit_once(derive)(low, rest, bar))


def runs_in(probe: Probe, case: Case, dtype: str) -> bool:
    """Whether the function itself takes a 16-bit dtype."""
    low, rest, _ = _rounded_inputs(probe, case, dtype)
    try:
        jax.block_until_ready(probe.forward_leaves(list(map(jnp.asarray, low)), rest))
    except Exception:  # noqa: BLE001 - whatever somebody's function raises
        return False
    return True


def _rounded_inputs(probe: Probe, case: Case, dtype: str) -> tuple[list[Any], Any, list[Any]]:
    chosen, rest, y_bar = probe.inputs(case)
    low, bar = ([np.asarray(x).astype(dtype) for x in leaves] for leaves in (chosen, y_bar))
    return low, rest, bar
