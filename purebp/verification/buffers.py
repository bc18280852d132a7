"""What a NumPy layer does with the arrays it is handed.

It must not write into them, not need them for the next call, keep two calls apart, and not take
them for contiguous.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from purebp.verification.cases import Case
from purebp.verification.comparison import Outcome, failed
from purebp.verification.numpy_pair import NumpyPair, own
from purebp.verification.probe import Probe
from purebp.verification.torch_checks import PROBLEMS
from purebp.verification.torch_pair import TorchPair


def check_buffers(probe: Probe, case: Case) -> Outcome:
    """Nothing is overwritten, a second call gives the same, and strides do not matter."""
    pair = probe.target.numpy
    if pair is None:
        return Outcome(vacuous=True)
    chosen, rest, y_bar = probe.inputs(case)
    args = [np.asarray(arg) for arg in probe.layout.join(chosen, rest)]
    upstream = [np.asarray(bar, np.float64) for bar in y_bar]
    for problem in (_overwritten, _not_repeated, _not_kept_apart, _depends_on_strides):
        message = problem(pair, probe.settings, args, upstream)
        if message:
            return failed("buffers", case, message)
    if isinstance(pair, TorchPair):
        for wrong in PROBLEMS:
            message = wrong(pair, probe.settings, args, upstream)
            if message:
                return failed("buffers", case, message)
    return Outcome()


def _dout(upstream: list[np.ndarray], arranged: Callable[[np.ndarray], np.ndarray]) -> Any:
    parts = [arranged(bar) for bar in upstream]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _overwritten(
    pair: NumpyPair, settings: dict[str, Any], args: list[np.ndarray], upstream: list[np.ndarray]
) -> str:
    given, bars = [own(arg) for arg in args], [bar.copy() for bar in upstream]
    out, cache = pair.forward(*given, **settings)
    kept = [np.array(y) for y in jax.tree.leaves(out)]
    pair.backward(bars[0] if len(bars) == 1 else tuple(bars), cache)
    for parameter, before, after in zip(pair.signature.parameters, args, given, strict=False):
        if not np.array_equal(own(before), after, equal_nan=after.dtype.kind == "f"):
            return f"the argument {parameter.name} is overwritten"
    if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(bars, upstream, strict=True)):
        return "the upstream gradient is overwritten by the backward pass"
    after = jax.tree.leaves(out)
    if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(kept, after, strict=True)):
        return "the output is overwritten by the backward pass"
    return ""


def _gradients(pair: NumpyPair, dout: Any, cache: Any) -> list[np.ndarray]:
    grads = pair.backward(dout, cache)
    several = grads if isinstance(grads, tuple | list) else (grads,)
    return [np.array(grad) for grad in several if grad is not None]


def _not_repeated(
    pair: NumpyPair, settings: dict[str, Any], args: list[np.ndarray], upstream: list[np.ndarray]
) -> str:
    _, cache = pair.forward(*map(own, args), **settings)
    first = _gradients(pair, _dout(upstream, np.copy), cache)
    second = _gradients(pair, _dout(upstream, np.copy), cache)
    if not _same(first, second, exactly=True):
        return "a second backward pass with the same cache gives other gradients"
    return ""


def _not_kept_apart(
    pair: NumpyPair, settings: dict[str, Any], args: list[np.ndarray], upstream: list[np.ndarray]
) -> str:
    """A layer that is used twice in a network: forward(a), forward(b), backward(cache of a)."""
    _, cache = pair.forward(*map(own, args), **settings)
    alone = _gradients(pair, _dout(upstream, np.copy), cache)
    _, cache = pair.forward(*map(own, args), **settings)
    others = [0.5 * own(arg) + 1 if arg.dtype.kind == "f" else own(arg) for arg in args]
    pair.forward(*others, **settings)
    if not _same(alone, _gradients(pair, _dout(upstream, np.copy), cache)):
        return (
            "another forward pass in between changes the gradients: what backward needs is not in "
            "the cache alone"
        )
    return ""


def _depends_on_strides(
    pair: NumpyPair, settings: dict[str, Any], args: list[np.ndarray], upstream: list[np.ndarray]
) -> str:
    _, cache = pair.forward(*map(own, args), **settings)
    plain = _gradients(pair, _dout(upstream, np.copy), cache)
    for arranged, name in ((np.asfortranarray, "a transposed view"), (_every_other, "a slice")):
        _, cache = pair.forward(*map(own, args), **settings)
        if not _same(plain, _gradients(pair, _dout(upstream, arranged), cache)):
            return f"other gradients where the upstream gradient is {name}: it is not contiguous"
        _, cache = pair.forward(*(arranged(own(arg)) for arg in args), **settings)
        if not _same(plain, _gradients(pair, _dout(upstream, np.copy), cache)):
            return f"other gradients where the arguments are {name}: they are not contiguous"
    return ""


def _every_other(x: np.ndarray) -> np.ndarray:
    """The same numbers as a view of every other entry of a larger array."""
    if not x.ndim:
        return x
    large = np.full((*x.shape[:-1], 2 * x.shape[-1]), 7, x.dtype)
    large[..., ::2] = x
    return large[..., ::2]


def _same(first: list[np.ndarray], second: list[np.ndarray], *, exactly: bool = False) -> bool:
    """Equal but for the order of sums."""
    rtol = 0.0 if exactly else 1e-9
    return len(first) == len(second) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=rtol, atol=rtol, equal_nan=True)
        for a, b in zip(first, second, strict=True)
    )
