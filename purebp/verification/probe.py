"""Everything that is computed about one variant of a target, compiled once and kept."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64, jit_once
from purebp.verification.cases import Case, Variant, make_args, make_cotangent
from purebp.verification.layout import (
    Layout,
    as_float64,
    flat,
    is_complex,
    layout_of,
    parts_of,
    whole,
    widen,
)
from purebp.verification.numpy_pair import RTOL, WIDE
from purebp.verification.target import Target
from purebp.verification.truth import NEARBY, Oracle, Truth, near

EPS32 = float(np.finfo(np.float32).eps)
JACOBIAN_LIMIT = 2**20
JACOBIAN_ROWS = 128
MOST_ROWS = 1024
KEPT = 32
BATCH = 64
DIFFER = WIDE / RTOL
"""Which part of the tolerance of finite differences their error bars may take."""

Leaves = Sequence[Any]


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
    """What the checks look at, for one case; `rounded` is the reference in float32."""

    case: Case
    chosen: list[Any]
    rest: list[Any]
    y_bar: np.ndarray
    y_bar2: np.ndarray
    truth: Truth
    hand32: Hand
    hand64: Hand
    rounded: np.ndarray


@dataclass
class Probe:
    """One variant of a target: its layout and its compiled functions.

    `quick` compiles the pair in float32 as the rest is, fast but not to be fast. `rows`: up to how
    many entries of the output there is a Jacobian.
    """

    target: Target
    variant: Variant
    quick: bool = False
    rows: int = JACOBIAN_ROWS
    _kept: dict[Case, Evidence] = field(default_factory=dict[Case, Evidence], init=False)
    _memory: dict[Any, Any] = field(default_factory=dict[Any, Any], init=False)
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
        return size <= self.rows and size * inputs <= JACOBIAN_LIMIT

    @cached_property
    def with_jacobian(self) -> "Probe":
        """This one if it has a Jacobian, else one that has it for larger outputs, at more cost."""
        return self if self.has_jacobian else Probe(self.target, self.variant, True, MOST_ROWS)

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
        return self.target.pull(self.settings, args, self.full_cotangent(args, y_bar))

    def full_cotangent(self, args: tuple[Any, ...], y_bar: Leaves) -> Any:
        """The cotangent of the whole output, of which y_bar holds the floating leaves."""
        y = jax.eval_shape(lambda *a: self.target.forward(self.settings, *a), *args)
        leaves, tree = jax.tree.flatten(y)
        given = iter(y_bar)
        return jax.tree.unflatten(tree, [_cotangent_like(leaf, given) for leaf in leaves])

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

    def with_settings(self, settings: Mapping[str, Any]) -> "Probe":
        """The same target and shapes with other options."""
        variant = self.variant._replace(settings=tuple(sorted(settings.items())))
        return Probe(self.target, variant, quick=True)

    def retake(self, known: Evidence) -> Evidence:
        """What is known about a case, with the cotangents of this pair in float64."""
        exact, exact2 = (
            as_float64(self._cotangent(case))
            for case in (known.case, _second_cotangent(known.case))
        )
        with enable_x64(True):
            hand64 = self._hand(widen(known.chosen), known.rest, exact, exact2)
        self._kept[known.case] = known._replace(hand64=hand64)
        return self._kept[known.case]

    def kept(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What was computed for a key, or is now."""
        if key not in self._memory:
            self._memory[key] = compute()
        return self._memory[key]

    def _cotangent(self, case: Case) -> list[Any]:
        bars = make_cotangent(case, [leaf.shape for leaf in self.output])
        return [jnp.asarray(b, leaf.dtype) for b, leaf in zip(bars, self.output, strict=True)]

    def _compute(self, case: Case) -> Evidence:
        chosen, rest, y_bar = self.inputs(case)
        y_bar2 = self._cotangent(_second_cotangent(case))
        y, (primal, bars) = self._first_run_jit(chosen, rest, y_bar)
        nothing = np.zeros(0)
        dtypes = tuple(leaf.dtype for leaf in (*y, *primal, *bars))
        hand32 = Hand(flat(y), flat(primal), flat(bars), dtypes, nothing, nothing, nothing, None)
        exact, exact2 = as_float64(y_bar), as_float64(y_bar2)
        with enable_x64(True):
            hand64 = self._hand(widen(chosen), rest, exact, exact2)
        rounded = self.oracle.rounded(chosen, rest, exact)
        truth = self.oracle.truth(chosen, rest, exact, rounded, case.seed + 3)
        truth = truth._replace(scale=self._unit_of_error(truth, flat(exact)))
        bars = flat(exact), flat(exact2)
        return Evidence(case, chosen, rest, *bars, truth, hand32, hand64, rounded)

    def _unit_of_error(self, truth: Truth, y_bar: np.ndarray) -> np.ndarray:
        """The unit of the tolerance for each entry of the gradient.

        In a whole function all gradients flow through the same numbers: where one is 0 because
        terms cancel, as that of a bias before a batch norm, it has the rounding of the others. And
        differences of an output are as good as its largest slope lets them be.
        """
        scale = self.layout.modulus(truth.scale)
        if self.target.differences:
            if truth.jacobian is None:
                return scale + DIFFER * np.nan_to_num(scale, posinf=0.0).max(initial=0.0)
            largest = 1 + np.nan_to_num(np.abs(truth.jacobian), posinf=0.0).max(axis=1, initial=0.0)
            return scale + DIFFER * float(largest @ np.abs(y_bar))
        if not self.target.rules:
            return scale
        largest = np.nan_to_num(scale, posinf=0.0).max(initial=0.0)
        return scale + largest + np.abs(y_bar).max(initial=0.0)

    def own_rounding(self, case: Case) -> np.ndarray:
        """Rounding errors of the pair's own Jacobian, told from float32 nearby, in units of eps.

        The largest of each argument. Told from the cotangent of the case too, compiled as it is:
        products with the 0 and 1 of unit cotangents are exact, and the compiler may round a
        product before it is subtracted from itself, or not.
        """
        found, rng = self.evidence(case), np.random.default_rng(case.seed + 5)
        y_bar = self._cotangent(case)
        sizes, total = [leaf.size for leaf in found.chosen], np.abs(found.y_bar).sum() or 1.0
        error: np.ndarray | float = 0.0
        for _ in range(NEARBY):
            low = [near(leaf, rng) for leaf in found.chosen]
            rounded = self._hand(low, found.rest, as_float64(y_bar), as_float64(y_bar))
            with enable_x64(True):
                wide = as_float64(y_bar)
                exact = self._hand(widen(low), found.rest, wide, wide)
            assert rounded.jacobian is not None
            assert exact.jacobian is not None
            with np.errstate(invalid="ignore"):
                of_rows = np.abs(rounded.jacobian - exact.jacobian)
                of_all = np.abs(flat(self.pull(low, found.rest, y_bar)[1]) - exact.bars) / total
                lost = np.nan_to_num(np.concatenate([of_rows, of_all[None]]), posinf=0.0)
                error = np.maximum(error, lost.max(axis=0, initial=0.0))
        blocks = np.split(np.asarray(error) / EPS32, np.cumsum(sizes)[:-1])
        return np.repeat([block.max(initial=0.0) for block in blocks], sizes)

    def own_jacobian_at(self, wide: Leaves, rest: Leaves) -> np.ndarray:
        """The pair's own Jacobian at a float64 point."""
        nothing = [np.zeros(leaf.shape) for leaf in self.output]
        jacobian = self._hand(wide, rest, nothing, nothing).jacobian
        assert jacobian is not None
        return jacobian

    def _hand(self, wide: Leaves, rest: Leaves, y_bar: Leaves, y_bar2: Leaves) -> Hand:
        size = self.output_size
        rows = np.eye(size) if self.has_jacobian else np.zeros((0, size))
        one, two = flat(y_bar), flat(y_bar2)
        stacked = np.concatenate([[one, two, 2 * one - two, 0 * one], rows])
        ends = np.cumsum([math.prod(leaf.shape) for leaf in self.output])[:-1]
        blocks = [
            block.reshape(len(stacked), *leaf.shape)
            for block, leaf in zip(np.split(stacked, ends, axis=1), self.output, strict=True)
        ]
        y, primal, bars = self._hand_jit(wide, rest, blocks)
        matrix = np.concatenate([np.asarray(b).reshape(len(stacked), -1) for b in bars], axis=1)
        dtypes = tuple(leaf.dtype for leaf in (*y, *primal, *bars))
        first, other, combined, zero = matrix[:4]
        jacobian = matrix[4:] if self.has_jacobian else None
        return Hand(flat(y), flat(primal), first, dtypes, other, combined, zero, jacobian)

    @cached_property
    def oracle(self) -> Oracle:
        """Autodiff of the reference."""
        tolerance = self.target.tolerance
        has_jacobian = self.has_jacobian
        return Oracle(self.reference_leaves, self.output, has_jacobian, tolerance, self.quick)

    def pull(self, chosen: Leaves, rest: Leaves, y_bar: Leaves) -> tuple[Any, list[Any]]:
        """(value of the forward rule, cotangents), compiled."""
        return self._first_run_jit(chosen, rest, y_bar)[1]

    @cached_property
    def _first_run_jit(self) -> Callable[..., Any]:
        def compute(chosen: Any, rest: Any, y_bar: Any) -> Any:
            return self.forward_leaves(chosen, rest), self.pull_leaves(chosen, rest, y_bar)

        return jit_once(compute) if self.quick else jax.jit(compute)

    @cached_property
    def pull_quickly(self) -> Callable[..., Any]:
        """(value of the forward rule, cotangents), compiled for a few runs."""
        return jit_once(self.pull_leaves)

    def batched_jit(self, axes: tuple[int | None, ...]) -> Callable[..., Any]:
        """The cotangents under `jax.vmap` over the given axes of the floating arguments."""
        if axes not in self._batched:
            batched = jax.vmap(self.pull_bars, in_axes=(list(axes), None, 0))
            self._batched[axes] = jit_once(batched)
        return self._batched[axes]

    @cached_property
    def _hand_jit(self) -> Callable[..., Any]:
        def compute(chosen: Any, rest: Any, y_bars: Any) -> Any:
            primal, bars = jax.lax.map(lambda e: self.pull_leaves(chosen, rest, e), y_bars)
            return self.forward_leaves(chosen, rest), [leaf[0] for leaf in primal], bars

        return jit_once(compute)

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
        """x -> sum(y_bar * forward(x)) on a batch of flat float64 vectors x.

        They go through in blocks of one size, so that one program serves batches of all sizes.
        NumPy code has no program: it is called for each of them.
        """
        pair = self.target.numpy
        if pair is not None:
            shapes = self.layout.chosen(self.layout.shapes)
            ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

            def value(x: np.ndarray) -> float:
                parts = [p.reshape(s) for p, s in zip(np.split(x, ends), shapes, strict=True)]
                return pair.weighted(self.settings, self.layout.join(parts, rest), y_bar)

            return lambda points: np.array([value(x) for x in points])

        def f(points: np.ndarray) -> np.ndarray:
            count = len(points)
            filled = np.concatenate([points, np.repeat(points[:1], -count % BATCH, axis=0)])
            blocks = filled.reshape(-1, BATCH, points.shape[1])
            values = [self._scalars_jit(block, rest, y_bar) for block in blocks]
            return np.concatenate([np.asarray(value) for value in values])[:count]

        return f


def _second_cotangent(case: Case) -> Case:
    return case._replace(seed=case.seed + 7, cotangent="normal")


def _floating(y: Any) -> list[Any]:
    return [leaf for leaf in parts_of(jax.tree.leaves(y)) if _is_floating(leaf)]


def _is_floating(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def _cotangent_like(leaf: Any, given: Iterator[Any]) -> Any:
    """The next cotangent for an output; of a complex one by both parts, as `Layout` has it."""
    if is_complex(leaf):
        return whole([next(given), -next(given)]).astype(leaf.dtype)
    if _is_floating(leaf):
        return next(given).astype(leaf.dtype)
    return np.zeros(leaf.shape, jax.dtypes.float0)
