"""Connectionist temporal classification: a loss for labels without an alignment.

The states of an alignment are the labels with a blank before, between and after them. Forward, a
walk through time adds up the alignments that reach each state; backward, the share of each state in
them is handed on to the states before it. The shares are the gradient.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from purebp.errors import OptionError, ShapeError
from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    check_reduction,
    reduce_examples,
    spread_over_examples,
)
from purebp.numerics import widen
from purebp.op import Op, conditioned

NEVER = -1e30
"""The logarithm of 0, finite so that differences of two of them are no nan."""


def ctc_definition(
    logits: Float[Array, "n t v"],
    labels: Integer[Array, "n s"],
    logit_lengths: Integer[Array, "n"] | None = None,
    label_lengths: Integer[Array, "n"] | None = None,
    *,
    blank: int = 0,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = -ln of the probability of all alignments that read as the labels.

    Maths: p_t = softmax(z_t); the states u are blank, l_1, blank, l_2, ..., blank. An alignment
        starts in one of the first two and ends in one of the last two states, stays or goes on by
        one, or by two where that leaves out a blank between two different labels.
        r_t(u) = alpha_{t-1}(u) + alpha_{t-1}(u-1) + [skip] alpha_{t-1}(u-2), alpha_t = p_t r_t,
        P = alpha_T(last) + alpha_T(last but one), loss = -ln P, all of it as logarithms. Backward,
        with the share g_t(u) of the alignments that are in u at t: g_T = alpha_T / P at the ends,
        g_{t-1}(u) = sum over the u' that follow u of g_t(u') alpha_{t-1}(u) / r_t(u');
        z_t_bar = loss_bar (p_t - gamma_t), gamma_t(k) = sum of g_t(u) over the u of class k.
        (g = alpha beta / P of the source, but of neighbours only: P may be e^-1000.)
    Shapes: logits (n, t, v), labels (n, s), padded at the end; the lengths (n) say how much of
        each counts, None: all. loss () or (n) without reduction, in nats; the mean is over n.
    Residuals: the logits, max z and sum of e^{z - max z} of each time, r, g_T and the labels;
        alpha = p r is had again at the cost of an addition.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for labels that are not integers,
        OptionError for a blank that is no class. Labels that are no class give nan. Where there
        are too few times for the labels the loss is inf and the gradient nan.
    Source: Graves et al. 2006, "Connectionist temporal classification", equations 6 to 16.

    Example:
        >>> logits = jax.random.normal(jax.random.key(0), (4, 5, 4))
        >>> labels = jnp.array([[1, 1], [3, 1], [1, 3], [3, -1]])
        >>> logit_lengths = jnp.array([5, 2, 3, 4])
        >>> label_lengths = jnp.array([2, 2, 0, 1])
        >>> y, res = ctc.fwd(logits, labels, logit_lengths, label_lengths)
        >>> [bar if bar is None else bar.shape for bar in ctc.bwd(res, 1.0)]
        [(4, 5, 4), None, None, None]
    """
    z = widen(logits)
    states = _states(labels, logit_lengths, label_lengths, z.shape, blank)
    sums = jax.nn.logsumexp(z, axis=-1, keepdims=True)
    emitted = jnp.moveaxis(_at_states(z, states) - sums, 1, 0)

    def step(alpha: Array, xs: tuple[Array, Array]) -> tuple[Array, None]:
        p, valid = xs
        by_two = jnp.where(states.skip, _shift(alpha, 2), NEVER)
        new = p + jnp.logaddexp(jnp.logaddexp(alpha, _shift(alpha, 1)), by_two)
        return jnp.where(valid, new, alpha), None

    alpha = lax.scan(step, states.start(z.dtype), (emitted, states.valid))[0]
    ends = jnp.where(states.last, alpha, NEVER)
    losses = _impossible_is_infinite(-jax.nn.logsumexp(ends, axis=-1))
    return reduce_examples(losses, reduction).astype(logits.dtype)


class States(NamedTuple):
    """The states of every example: their classes, and where alignments may go."""

    classes: Integer[Array, "n u"]
    skip: Array
    last: Array
    valid: Array

    def start(self, dtype: Any) -> Array:
        """Before the first time: in the first blank for sure."""
        never = jnp.full_like(self.classes, NEVER, dtype=dtype)
        return jnp.where(jnp.arange(self.classes.shape[1]) == 0, 0, never)


def _states(
    labels: Array,
    logit_lengths: Array | None,
    label_lengths: Array | None,
    shape: tuple[int, ...],
    blank: int,
) -> States:
    times, width, dtype = shape[1], labels.shape[1], labels.dtype
    counts = jnp.full_like(labels, width, shape=labels.shape[:1])
    if label_lengths is not None:
        counts = jnp.clip(label_lengths, 0, width).astype(dtype)
    padded = jnp.where(jnp.arange(width) < counts[:, None], labels, blank)
    pairs = jnp.stack([jnp.full_like(padded, blank), padded], axis=-1)
    classes = jnp.pad(pairs.reshape(len(labels), 2 * width), ((0, 0), (0, 1)))
    place = jnp.arange(2 * width + 1)
    classes = jnp.where(place % 2 == 0, jnp.asarray(blank, dtype), classes)
    before = jnp.pad(classes, ((0, 0), (2, 0)))[:, : 2 * width + 1]
    skip = (place % 2 == 1) & (place > 1) & (classes != before)
    last = (place == 2 * counts[:, None]) | (place == 2 * counts[:, None] - 1)
    ends = jnp.full_like(counts, times) if logit_lengths is None else logit_lengths
    valid = (jnp.arange(times)[:, None] < ends)[..., None]
    return States(classes, skip, last, valid)


def _at_states(z: Array, states: States) -> Array:
    """(n, t, u): the entry of each state's class; nan for a label that is no class."""
    index = states.classes.astype(jnp.int32)[:, None]
    index = jnp.where(index < 0, z.shape[-1], index)
    return jnp.take_along_axis(z, index, axis=-1, mode="fill", fill_value=jnp.nan)


def _emitted(z: Array, largest: Array, sums: Array, states: States) -> Array:
    """(t, n, u): ln p_t of each state's class."""
    return jnp.moveaxis((_at_states(z, states) - largest) - jnp.log(sums), 1, 0)


def _shift(x: Array, places: int) -> Array:
    """Entry u of the last axis comes from u - places; those without one are never."""
    edges = [(0, 0)] * (x.ndim - 1) + [(places, 0)]
    return jnp.pad(x, edges, constant_values=NEVER)[..., : x.shape[-1]]


def _back(x: Array, places: int) -> Array:
    """Entry u of the last axis comes from u + places; those without one are 0."""
    edges = [(0, 0)] * (x.ndim - 1) + [(0, places)]
    return jnp.pad(x, edges)[..., places:]


def _add_three(a: Array, b: Array, c: Array) -> Array:
    """ln(e^a + e^b + e^c)."""
    m = lax.stop_gradient(jnp.maximum(jnp.maximum(a, b), c))
    return m + jnp.log(jnp.exp(a - m) + jnp.exp(b - m) + jnp.exp(c - m))


def _impossible_is_infinite(losses: Array) -> Array:
    return jnp.where(losses > -NEVER / 2, jnp.inf, losses)


class CtcResiduals(NamedTuple):
    logits: Float[Array, "n t v"]
    largest: Float[Array, "n t 1"]
    sums: Float[Array, "n t 1"]
    reached: Float[Array, "t n u"]
    ends: Float[Array, "n u"]
    labels: Integer[Array, "n s"]
    logit_lengths: Integer[Array, "n"] | None
    label_lengths: Integer[Array, "n"] | None


def ctc_fwd(
    logits: Array,
    labels: Array,
    logit_lengths: Array | None = None,
    label_lengths: Array | None = None,
    *,
    blank: int = 0,
    reduction: Reduction = "mean",
) -> tuple[Array, CtcResiduals]:
    z = widen(logits)
    states = _states(labels, logit_lengths, label_lengths, z.shape, blank)
    largest = lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    sums = jnp.sum(jnp.exp(z - largest), axis=-1, keepdims=True)
    emitted = _emitted(z, largest, sums, states)
    hurdle = jnp.where(states.skip, 0, NEVER).astype(z.dtype)

    def step(alpha: Array, xs: tuple[Array, Array]) -> tuple[Array, Array]:
        p, valid = xs
        reached = _add_three(alpha, _shift(alpha, 1), _shift(alpha, 2) + hurdle)
        return jnp.where(valid, p + reached, alpha), reached

    final, reached = lax.scan(step, states.start(z.dtype), (emitted, states.valid))
    ends = jnp.where(states.last, final, NEVER)
    top = lax.stop_gradient(jnp.max(ends, axis=-1, keepdims=True))
    total = top + jnp.log(jnp.sum(jnp.exp(ends - top), axis=-1, keepdims=True))
    losses = _impossible_is_infinite(-total[:, 0])
    loss = reduce_examples(losses, reduction).astype(logits.dtype)
    shares = jnp.where(total < NEVER / 2, jnp.nan, jnp.exp(ends - total))
    return loss, CtcResiduals(
        logits, largest, sums, reached, shares, labels, logit_lengths, label_lengths
    )


def ctc_bwd(
    res: CtcResiduals, loss_bar: Array, *, blank: int = 0, reduction: Reduction = "mean"
) -> tuple[Array, None, None, None]:
    logits, largest, sums, reached, ends, labels, logit_lengths, label_lengths = res
    z = widen(logits)
    states = _states(labels, logit_lengths, label_lengths, z.shape, blank)
    emitted = _emitted(z, largest, sums, states)
    before = jnp.concatenate([states.start(z.dtype)[None], emitted + reached])[:-1]
    by_two = jnp.where(states.skip, _shift(before, 2), NEVER)
    stays, ones, twos = (
        jnp.exp(jnp.where(states.valid, each - reached, 0))
        for each in (before, _shift(before, 1), by_two)
    )

    def step(share: Array, xs: tuple[Array, ...]) -> tuple[Array, Array]:
        stays, ones, twos, valid = xs
        from_one, from_two = _back(share * ones, 1), _back(share * twos, 2)
        return jnp.where(valid, share * stays + from_one + from_two, share), share

    _, shares = lax.scan(step, ends, (stays, ones, twos, states.valid), reverse=True)
    one_hot = states.classes[..., None] == jnp.arange(z.shape[-1])
    gamma = jnp.einsum("tnu,nuv->ntv", shares, one_hot.astype(z.dtype))
    each = spread_over_examples(loss_bar, labels.shape[:1], reduction)[..., None]
    slopes = _without_cancellation(jnp.exp(z - largest) / sums - gamma, z)
    z_bar = jnp.where(jnp.moveaxis(states.valid, 0, 1), each * slopes, 0)
    return z_bar.astype(logits.dtype), None, None, None


def _without_cancellation(slopes: Array, z: Array) -> Array:
    """p - gamma adds up to 0: that of the likeliest class, 1 - 1, is had from the others."""
    top = jnp.argmax(z, axis=-1)[..., None] == jnp.arange(z.shape[-1])
    others = jnp.where(top, 0, slopes)
    return jnp.where(top, -jnp.sum(others, axis=-1, keepdims=True), others)


def check_ctc(
    logits: Array,
    labels: Array,
    logit_lengths: Array | None,
    label_lengths: Array | None,
    *,
    blank: int,
    reduction: str,
) -> None:
    """Raise for an unknown reduction, no classes, or a blank that is none of them."""
    check_reduction("ctc", reduction)
    classes = logits.shape[-1]
    if classes == 0:
        raise ShapeError(f"ctc: logits has shape {logits.shape}, expected at least one class")
    if isinstance(blank, bool) or not isinstance(blank, int) or not 0 <= blank < classes:
        raise OptionError(f"ctc: blank is {blank!r}, expected a class from 0 to {classes - 1}")


def _example(rng: np.random.Generator) -> tuple[Array, ...]:
    """Repeated labels, labels as many as times allow, none, and padding of both."""
    logits = jnp.asarray(rng.normal(size=(4, 5, 4)), jnp.float32)
    labels = jnp.asarray([[1, 1], [3, 1], [1, 3], [3, -1]], jnp.int32)
    lengths = jnp.asarray([5, 2, 3, 4], jnp.int32), jnp.asarray([2, 2, 0, 1], jnp.int32)
    return logits, labels, *lengths


ctc = Op(
    ctc_fwd,
    ctc_bwd,
    definition=ctc_definition,
    options={"blank": (0, 2), "reduction": REDUCTIONS},
    check=check_ctc,
    tolerance=conditioned("p - gamma cancels, and the walks add up roundings", pooled=True),
    example=_example,
)

OPS = (ctc,)
