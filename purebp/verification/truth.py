"""The truth: autodiff of the reference in float64, on the very float32 inputs of a case.

And how well it can be known: the rounding errors that the reference itself makes near the point.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64, jit_once
from purebp.op import Tolerance
from purebp.verification.layout import flat, widen

PROJECTIONS = 8
NEARBY = 6
NEAR = 1e-4
STEP = 1e-7
"""How far the inputs are moved, of their own size, to see the size of a change."""
TINY32 = float(np.finfo(np.float32).tiny)
HIDDEN = 1e3 * float(np.finfo(np.float32).eps)
"""Below float32's range its noise is not seen: 1000 roundings are taken instead."""

UNMEASURED = 1e4
"""Where other numbers are drawn in float32 no noise is measured: these roundings are taken."""

Leaves = Sequence[Any]


class Noise(NamedTuple):
    """Rounding errors of the reference: of its output, and of its Jacobian (or cotangents)."""

    value: np.ndarray | float
    derivative: np.ndarray | float


class Truth(NamedTuple):
    """The reference in float64.

    `spread` is the rounding error of autodiff's Jacobian nearby, in units of eps (0 unless the
    tolerance is conditioned); `scale` is (|J| + spread)^T |y_bar|, the unit of the tolerance.
    `draws_differ` if the reference itself has other values in the precision of the inputs, as
    random numbers have.
    """

    y: np.ndarray
    bars: np.ndarray
    jacobian: np.ndarray | None
    spread: np.ndarray | float
    scale: np.ndarray
    value_noise: np.ndarray | float
    draws_differ: bool


@dataclass(frozen=True)
class Oracle:
    """Autodiff of `leaves(chosen, rest) -> floating outputs`, with their shapes in `output`.

    `quick` says how the pair is compiled: rounding errors depend on it, and so does their measure.
    """

    leaves: Callable[[Leaves, Leaves], list[Any]]
    output: list[Any]
    has_jacobian: bool
    tolerance: Tolerance
    quick: bool = False

    def truth(
        self, low: Leaves, rest: Leaves, y_bar: Leaves, rounded: np.ndarray, seed: int
    ) -> Truth:
        """Everything about a point; `rounded` is the reference in the precision of `low`."""
        rng = np.random.default_rng(seed)
        wide = widen(low)
        y, bars, jacobian = self._run(wide, rest, y_bar)
        differ = draws_differ(rounded, y)
        noise = Noise(0.0, 0.0)
        if self.tolerance.conditioned and low and not differ:
            noise = self._noise(low, rest, y_bar, rng)
        elif self.tolerance.conditioned and differ:
            known = bars if jacobian is None else jacobian
            noise = Noise(0.0, UNMEASURED * np.nan_to_num(np.abs(known), posinf=0.0).max(initial=0))
        if jacobian is None:
            scale = self._projected_scale(wide, rest, y_bar, rng) + noise.derivative
            return Truth(y, bars, None, 0.0, scale, noise.value, differ)
        scale = (np.abs(jacobian) + noise.derivative).T @ np.abs(flat(y_bar))
        return Truth(y, bars, jacobian, noise.derivative, scale, noise.value, differ)

    def rounded(self, low: Leaves, rest: Leaves, y_bar: Leaves) -> np.ndarray:
        """The output in the precision of `low`."""
        if self.tolerance.conditioned and low:
            return self._run(low, rest, y_bar)[0]
        return flat(self._value_jit(low, rest))

    def forward_scale(self, truth: Truth, low: Leaves, rest: Leaves, seed: int) -> np.ndarray:
        """The unit of the forward tolerance: |y| + |J| |x|, and the noise of the reference."""
        own = np.abs(truth.y) + truth.value_noise
        if truth.jacobian is not None:
            return own + np.nan_to_num(np.abs(truth.jacobian) @ np.abs(flat(low)))
        rng = np.random.default_rng(seed)
        wide = widen(low)
        for _ in range(PROJECTIONS):
            moves = [1 + STEP * rng.choice([-1.0, 1.0], leaf.shape) for leaf in wide]
            moved = widen([np.asarray(leaf) * m for leaf, m in zip(wide, moves, strict=True)])
            with enable_x64(True):
                change = flat(self._value_jit(moved, rest)) - truth.y
            own = own + np.nan_to_num(np.abs(change) / STEP, posinf=0.0)
        return own

    def jacobian_at(self, wide: Leaves, rest: Leaves) -> np.ndarray:
        """The Jacobian at a float64 point."""
        jacobian = self._run(wide, rest, [np.zeros(leaf.shape) for leaf in self.output])[2]
        assert jacobian is not None
        return jacobian

    def _run(
        self, chosen: Leaves, rest: Leaves, y_bar: Leaves
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Output, cotangents and Jacobian, in float64 if `chosen` is."""
        wide = all(leaf.dtype == np.float64 for leaf in chosen)
        run = self._truth_jit if wide else self._rounded_jit
        with enable_x64(wide):
            y, bars, jacobian = run(chosen, rest, y_bar)
        return flat(y), flat(bars), None if jacobian is None else np.asarray(jacobian, np.float64)

    def _noise(self, low: Leaves, rest: Leaves, y_bar: Leaves, rng: np.random.Generator) -> Noise:
        """The rounding errors of autodiff itself at and near a point, in units of eps."""
        value: np.ndarray | float = 0.0
        derivative: np.ndarray | float = 0.0
        for k in range(NEARBY):
            moved = [near(leaf, rng) if k else leaf for leaf in low]
            y32, bars32, jacobian32 = self._run(moved, rest, y_bar)
            y64, bars64, jacobian64 = self._run(widen(moved), rest, y_bar)
            rounded = bars32 if jacobian32 is None else jacobian32
            exact = bars64 if jacobian64 is None else jacobian64
            hidden = np.where(np.abs(exact) < TINY32, HIDDEN * np.abs(exact), 0.0)
            with np.errstate(invalid="ignore"):
                value = np.maximum(value, np.abs(y32 - y64))
                derivative = np.maximum(derivative, hidden + np.abs(rounded - exact))
        if self.tolerance.whole:
            value = _pool(np.asarray(value), [leaf.size for leaf in self.output])
        if self.tolerance.pooled:
            derivative = _pool(np.asarray(derivative), [leaf.size for leaf in low])
        eps = max(float(jnp.finfo(leaf.dtype).eps) for leaf in low)
        return Noise(*(np.nan_to_num(np.asarray(n), posinf=0.0) / eps for n in (value, derivative)))

    def _projected_scale(
        self, wide: Leaves, rest: Leaves, y_bar: Leaves, rng: np.random.Generator
    ) -> np.ndarray:
        total: np.ndarray | float = 0.0
        for _ in range(PROJECTIONS):
            signed = [bar * rng.choice([-1.0, 1.0], bar.shape) for bar in y_bar]
            total = total + np.abs(self._run(wide, rest, signed)[1])
        return np.asarray(total)

    @cached_property
    def _truth_jit(self) -> Callable[..., Any]:
        return jit_once(self._derive)

    @cached_property
    def _rounded_jit(self) -> Callable[..., Any]:
        return jit_once(self._derive) if self.quick else jax.jit(self._derive)

    def _derive(self, chosen: Any, rest: Any, y_bar: Any) -> Any:
        y, pull = jax.vjp(lambda c: self.leaves(c, rest), chosen)
        given = [bar.astype(leaf.dtype) for bar, leaf in zip(y_bar, y, strict=True)]
        if not self.has_jacobian:
            return y, pull(given)[0], None
        rows = jax.vmap(pull)(_and_unit_cotangents(given))[0]
        matrix = jnp.concatenate([row.reshape(row.shape[0], -1) for row in rows], axis=1)
        return y, [matrix[0]], matrix[1:]

    @cached_property
    def _value_jit(self) -> Callable[..., Any]:
        return jit_once(self.leaves)


def _and_unit_cotangents(y_bar: Leaves) -> list[Any]:
    """A cotangent and then those of each row of the Jacobian, which `jax.jacobian` pulls back."""
    sizes = [bar.size for bar in y_bar]
    blocks = np.split(np.eye(sum(sizes)), np.cumsum(sizes)[:-1], axis=1)
    return [
        jnp.concatenate([bar[None], jnp.asarray(block, bar.dtype).reshape(len(block), *bar.shape)])
        for bar, block in zip(y_bar, blocks, strict=True)
    ]


def draws_differ(rounded: np.ndarray, exact: np.ndarray) -> bool:
    """Whether two outputs differ by more than rounding can explain."""
    seen = np.abs(exact) > TINY32
    if not seen.any():
        return False
    with np.errstate(all="ignore"):
        size = np.abs(exact) + np.sqrt(np.mean(exact**2))
        gap = (np.abs(rounded - exact) / size)[seen]
    return bool(np.isfinite(gap).any() and np.nanmedian(gap) > 1e-2)


def near(leaf: Any, rng: np.random.Generator) -> Any:
    """An array, each number moved by a small part of its own size."""
    moved = np.asarray(leaf, np.float64) * (1 + NEAR * rng.uniform(-1, 1, leaf.shape))
    return jnp.asarray(moved, leaf.dtype)


def _pool(noise: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Each entry, or the root mean square of its argument (and row) where that is more."""
    pooled = [
        np.maximum(part, np.sqrt(np.mean(part**2, axis=-1, keepdims=True))) if part.size else part
        for part in np.split(noise, np.cumsum(sizes)[:-1], axis=-1)
    ]
    return np.concatenate(pooled, axis=-1)
