"""Everything that is computed about one variant of a target, compiled once and kept.

The truth is autodiff of the reference in float64, on the very float32 inputs of the case.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64, jit_once
from purebp.verification.cases import Case, Variant, make_args, make_cotangent
from purebp.verification.layout import Layout, as_float64, flat, layout_of
from purebp.verification.target import Target

JACOBIAN_LIMIT = 2**20
JACOBIAN_ROWS = 128
PROJECTIONS = 8
NEARBY = 6
NEAR = 1e-4
KEPT = 32
TINY32 = float(np.finfo(np.float32).tiny)
HIDDEN = 1e3 * float(np.finfo(np.float32).eps)
"""Below float32's range its noise is not seen: 1000 roundings are taken instead."""

Leaves = Sequence[Any]


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


class Noise(NamedTuple):
    """Rounding errors of the reference: of its output, and of its Jacobian (or cotangents)."""

    value: np.ndarray | float
    derivative: np.ndarray | float


class Hand(NamedTuple):
    """The hand-written pair in one precision.

    `y` is the value of the function, `primal` that of the forward rule. In float64 there are also
    the cotangents of y_bar2, of 2 y_bar - y_bar2 and of zero, and the full Jacobian.
    """

    y: np.ndarray
    primal: np.ndarray
    bars: np.ndarray
    dtypes: tuple[Any, ...]
    other: np.ndarray
    combined: np.ndarray
    zero: np.ndarray
    jacobian: np.ndarray | None


class Evidence(NamedTuple):
    """What the checks look at, for one case."""

    case: Case
    chosen: list[Any]
    rest: list[Any]
    y_bar: np.ndarray
    y_bar2: np.ndarray
    truth: Truth
    hand32: Hand
    hand64: Hand


@dataclass
class Probe:
    """One variant of a target: its layout and its compiled functions."""

    target: Target
    variant: Variant
    _kept: dict[Case, Evidence] = field(default_factory=dict[Case, Evidence], init=False)
    _batched: dict[tuple[int | None, ...], Any] = field(
        default_factory=dict[tuple[int | None, ...], Any], init=False
    )

    @cached_property
    def first(self) -> Case:
        """The simplest case."""
        return Case(self.variant, "normal", "normal", 0)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The options of the variant."""
        return dict(self.variant.settings)

    @cached_property
    def layout(self) -> Layout:
        """The layout of the arguments, the same for all cases of the variant."""
        return layout_of(self.target, make_args(self.target, self.first))

    @cached_property
    def output(self) -> list[Any]:
        """The shapes and dtypes of the floating outputs."""
        chosen, rest = self.layout.split(make_args(self.target, self.first))
        return jax.eval_shape(self.reference_leaves, chosen, rest)

    @property
    def output_size(self) -> int:
        """The number of entries of the output."""
        return sum(math.prod(leaf.shape) for leaf in self.output)

    @property
    def has_jacobian(self) -> bool:
        """Whether the Jacobian is small enough to be built."""
        inputs = sum(math.prod(shape) for shape in self.layout.chosen(self.layout.shapes))
        size = self.output_size
        return size <= JACOBIAN_ROWS and size * inputs <= JACOBIAN_LIMIT

    def reference_leaves(self, chosen: Leaves, rest: Leaves) -> list[Any]:
        """The floating outputs of the reference."""
        return _floating(self.target.reference(self.settings, *self.layout.join(chosen, rest)))

    def forward_leaves(self, chosen: Leaves, rest: Leaves) -> list[Any]:
        """The floating outputs of the target, called as a plain function."""
        return _floating(self.target.forward(self.settings, *self.layout.join(chosen, rest)))

    def pull_leaves(self, chosen: Leaves, rest: Leaves, y_bar: Leaves) -> tuple[Any, list[Any]]:
        """The output of the forward rule, and the hand-written cotangents."""
        primal, bars = self._pull(self.layout.join(chosen, rest), y_bar)
        return _floating(primal), self.layout.cotangents(bars, chosen)

    def _pull(self, args: tuple[Any, ...], y_bar: Leaves) -> tuple[Any, Any]:
        y = jax.eval_shape(lambda *a: self.target.forward(self.settings, *a), *args)
        leaves, tree = jax.tree.flatten(y)
        given = iter(y_bar)
        full = [
            next(given).astype(leaf.dtype) if _is_floating(leaf) else _no_cotangent(leaf)
            for leaf in leaves
        ]
        return self.target.pull(self.settings, args, jax.tree.unflatten(tree, full))

    @cached_property
    def constant(self) -> np.ndarray:
        """For each floating entry whether its cotangent is declared to be none."""
        chosen, rest, y_bar = self.inputs(self.first)
        args = self.layout.join(chosen, rest)
        bars = jax.eval_shape(lambda a, b: self._pull(a, b)[1], args, y_bar)
        none = self.layout.declared_none(bars)
        sizes = [leaf.size for leaf in chosen]
        return np.repeat(np.asarray(none, bool), sizes)

    def pull_bars(self, chosen: Leaves, rest: Leaves, y_bar: Leaves) -> list[Any]:
        """The hand-written cotangents alone."""
        return self.pull_leaves(chosen, rest, y_bar)[1]

    def inputs(self, case: Case) -> tuple[list[Any], list[Any], list[Any]]:
        """The floating arguments, the others, and the cotangent of a case."""
        chosen, rest = self.layout.split(make_args(self.target, case))
        return chosen, rest, self._cotangent(case)

    def evidence(self, case: Case) -> Evidence:
        """Compute everything about a case; the last ones are kept."""
        if case not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[case] = self._compute(case)
        return self._kept[case]

    def _cotangent(self, case: Case) -> list[Any]:
        bars = make_cotangent(case, [leaf.shape for leaf in self.output])
        return [jnp.asarray(b, leaf.dtype) for b, leaf in zip(bars, self.output, strict=True)]

    def _compute(self, case: Case) -> Evidence:
        chosen, rest, y_bar = self.inputs(case)
        y_bar2 = self._cotangent(case._replace(seed=case.seed + 7, cotangent="normal"))
        y, (primal, bars), reference = self._first_run_jit(chosen, rest, y_bar)
        nothing = np.zeros(0)
        dtypes = tuple(leaf.dtype for leaf in (*y, *primal, *bars))
        hand32 = Hand(flat(y), flat(primal), flat(bars), dtypes, nothing, nothing, nothing, None)
        exact, exact2 = as_float64(y_bar), as_float64(y_bar2)
        with enable_x64(True):
            hand64 = self._hand64(_widen(chosen), rest, exact, exact2)
        truth = self._truth(chosen, rest, exact, case, flat(reference))
        return Evidence(case, chosen, rest, flat(exact), flat(exact2), truth, hand32, hand64)

    def _hand64(self, wide: Leaves, rest: Leaves, y_bar: Leaves, y_bar2: Leaves) -> Hand:
        size = self.output_size
        rows = np.eye(size) if self.has_jacobian else np.zeros((0, size))
        one, two = flat(y_bar), flat(y_bar2)
        stacked = np.concatenate([[one, two, 2 * one - two, 0 * one], rows])
        ends = np.cumsum([math.prod(leaf.shape) for leaf in self.output])[:-1]
        blocks = [
            jnp.asarray(block.reshape(len(stacked), *leaf.shape))
            for block, leaf in zip(np.split(stacked, ends, axis=1), self.output, strict=True)
        ]
        y, primal, bars = self._hand64_jit(wide, rest, blocks)
        matrix = np.concatenate([np.asarray(b).reshape(len(stacked), -1) for b in bars], axis=1)
        dtypes = tuple(leaf.dtype for leaf in (*y, *primal, *bars))
        first, other, combined, zero = matrix[:4]
        jacobian = matrix[4:] if self.has_jacobian else None
        return Hand(flat(y), flat(primal), first, dtypes, other, combined, zero, jacobian)

    def _truth(
        self, low: Leaves, rest: Leaves, y_bar: Leaves, case: Case, rounded: np.ndarray
    ) -> Truth:
        with enable_x64(True):
            wide = _widen(low)
            y, bars, jacobian = self._truth_jit(wide, rest, [jnp.asarray(bar) for bar in y_bar])
        differ = _draws_differ(rounded, flat(y))
        noise = Noise(0.0, 0.0)
        if self.target.tolerance.conditioned and low and not differ:
            noise = self._noise(low, rest, y_bar, case)
        if not self.has_jacobian:
            scale = self._projected_scale(wide, rest, y_bar, case) + noise.derivative
            return Truth(flat(y), flat(bars), None, 0.0, scale, noise.value, differ)
        jacobian = np.asarray(jacobian)
        scale = (np.abs(jacobian) + noise.derivative).T @ np.abs(flat(y_bar))
        return Truth(flat(y), flat(bars), jacobian, noise.derivative, scale, noise.value, differ)

    def forward_scale(self, found: Evidence) -> np.ndarray:
        """The unit of the forward tolerance: |y| + |J| |x|, and the noise of the reference."""
        own = np.abs(found.truth.y) + found.truth.value_noise
        return own + self._change_scale(found)

    def _change_scale(self, found: Evidence) -> np.ndarray:
        size = np.abs(flat(found.chosen))
        if found.truth.jacobian is not None:
            return np.nan_to_num(np.abs(found.truth.jacobian) @ size)
        rng = np.random.default_rng(found.case.seed + 3)
        total: np.ndarray | float = 0.0
        with enable_x64(True):
            wide = _widen(found.chosen)
            for _ in range(PROJECTIONS):
                signs = [jnp.asarray(rng.choice([-1.0, 1.0], leaf.shape)) for leaf in wide]
                tangent = [jnp.abs(leaf) * sign for leaf, sign in zip(wide, signs, strict=True)]
                total = total + np.abs(flat(self._change_jit(wide, found.rest, tangent)))
        return np.nan_to_num(np.asarray(total))

    @cached_property
    def _change_jit(self) -> Callable[..., Any]:
        def compute(chosen: Any, rest: Any, tangent: Any) -> Any:
            return jax.jvp(lambda c: self.reference_leaves(c, rest), (chosen,), (tangent,))[1]

        return jit_once(compute)

    def truth_jacobian(self, wide: Leaves, rest: Leaves) -> np.ndarray:
        """The reference's Jacobian at a float64 point."""
        zero = [jnp.zeros(leaf.shape, jnp.float64) for leaf in self.output]
        return np.asarray(self._truth_jit(wide, rest, zero)[2])

    def _noise(self, low: Leaves, rest: Leaves, y_bar: Leaves, case: Case) -> Noise:
        """The rounding errors of autodiff itself at and near a point, in units of eps."""
        rng = np.random.default_rng(case.seed + 3)
        given = [jnp.asarray(bar) for bar in y_bar]
        value: np.ndarray | float = 0.0
        derivative: np.ndarray | float = 0.0
        for k in range(NEARBY):
            moved = [_near(leaf, rng) if k else leaf for leaf in low]
            rounded = _numbers(self._truth_jit(moved, rest, given))
            with enable_x64(True):
                exact = _numbers(self._truth_jit(_widen(moved), rest, given))
            value = np.maximum(value, np.abs(rounded[0] - exact[0]))
            size = np.abs(exact[1])
            hidden = np.where(size < TINY32, HIDDEN * size, 0.0)
            derivative = np.maximum(derivative, hidden + np.abs(rounded[1] - exact[1]))
        eps = max(float(jnp.finfo(leaf.dtype).eps) for leaf in low)
        return Noise(*(np.nan_to_num(np.asarray(n), posinf=0.0) / eps for n in (value, derivative)))

    def _projected_scale(self, wide: Leaves, rest: Leaves, y_bar: Leaves, case: Case) -> np.ndarray:
        rng = np.random.default_rng(case.seed + 3)
        total: np.ndarray | float = 0.0
        with enable_x64(True):
            for _ in range(PROJECTIONS):
                signed = [jnp.asarray(bar * rng.choice([-1.0, 1.0], bar.shape)) for bar in y_bar]
                total = total + np.abs(flat(self._truth_jit(wide, rest, signed)[1]))
        return np.asarray(total)

    @cached_property
    def pull_jit(self) -> Callable[..., Any]:
        """(value of the forward rule, cotangents), compiled."""
        return jax.jit(self.pull_leaves)

    @cached_property
    def _first_run_jit(self) -> Callable[..., Any]:
        def compute(chosen: Any, rest: Any, y_bar: Any) -> Any:
            pulled = self.pull_leaves(chosen, rest, y_bar)
            return self.forward_leaves(chosen, rest), pulled, self.reference_leaves(chosen, rest)

        return jax.jit(compute)

    def batched_jit(self, axes: tuple[int | None, ...]) -> Callable[..., Any]:
        """The cotangents under `jax.vmap` over the given axes of the floating arguments."""
        if axes not in self._batched:
            batched = jax.vmap(self.pull_bars, in_axes=(list(axes), None, 0))
            self._batched[axes] = jax.jit(batched)
        return self._batched[axes]

    @cached_property
    def _hand64_jit(self) -> Callable[..., Any]:
        def compute(chosen: Any, rest: Any, y_bars: Any) -> Any:
            primal, bars = jax.lax.map(lambda e: self.pull_leaves(chosen, rest, e), y_bars)
            return self.forward_leaves(chosen, rest), [leaf[0] for leaf in primal], bars

        return jit_once(compute)

    @cached_property
    def _truth_jit(self) -> Callable[..., Any]:
        def compute(chosen: Any, rest: Any, y_bar: Any) -> Any:
            y, pull = jax.vjp(lambda c: self.reference_leaves(c, rest), chosen)
            given = [bar.astype(leaf.dtype) for bar, leaf in zip(y_bar, y, strict=True)]
            jacobian = self._jacobian(chosen, rest) if self.has_jacobian else None
            return y, pull(given)[0], jacobian

        return jit_once(compute)

    def _jacobian(self, chosen: Any, rest: Any) -> Any:
        rows = jax.jacobian(lambda c: self.reference_leaves(c, rest))(chosen)
        blocks = [
            jnp.concatenate([block.reshape(math.prod(leaf.shape), -1) for block in row], axis=1)
            for row, leaf in zip(rows, self.output, strict=True)
        ]
        return jnp.concatenate(blocks)

    @cached_property
    def _scalars_jit(self) -> Callable[..., Any]:
        shapes = self.layout.chosen(self.layout.shapes)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

        def one(x: Any, rest: Any, y_bar: Any) -> Any:
            parts = [p.reshape(s) for p, s in zip(jnp.split(x, ends), shapes, strict=True)]
            y = jnp.concatenate([leaf.ravel() for leaf in self.forward_leaves(parts, rest)])
            return jnp.sum(y.astype(y_bar.dtype) * y_bar)

        def compute(points: Any, rest: Any, y_bar: Any) -> Any:
            return jax.lax.map(lambda x: one(x, rest, y_bar), points)

        return jit_once(compute)

    def scalar_forward(self, rest: Leaves, y_bar: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """x -> sum(y_bar * forward(x)) on a batch of flat float64 vectors x."""

        def f(points: np.ndarray) -> np.ndarray:
            return np.asarray(self._scalars_jit(jnp.asarray(points), rest, jnp.asarray(y_bar)))

        return f


def _numbers(result: Any) -> tuple[np.ndarray, np.ndarray]:
    y, bars, jacobian = result
    return flat(y), flat(bars) if jacobian is None else np.asarray(jacobian, np.float64)


def _draws_differ(rounded: np.ndarray, exact: np.ndarray) -> bool:
    if not exact.size:
        return False
    with np.errstate(all="ignore"):
        gap = np.abs(rounded - exact) / (np.abs(exact) + np.sqrt(np.mean(exact**2)))
    return bool(np.isfinite(gap).any() and np.nanmedian(gap) > 1e-2)


def _widen(leaves: Leaves) -> list[Any]:
    return [jnp.asarray(leaf) for leaf in as_float64(leaves)]


def _near(leaf: Any, rng: np.random.Generator) -> Any:
    moved = np.asarray(leaf, np.float64) * (1 + NEAR * rng.uniform(-1, 1, leaf.shape))
    return jnp.asarray(moved, leaf.dtype)


def _floating(y: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(y) if _is_floating(leaf)]


def _is_floating(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def _no_cotangent(leaf: Any) -> Any:
    return np.zeros(leaf.shape, jax.dtypes.float0)
