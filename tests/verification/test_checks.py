"""Each check is shown to pass a right layer and to catch a bug planted for it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.catalog import OPS
from purebp.op import Op
from purebp.verification.cases import COTANGENTS, PATTERNS, Case, Variant, variants
from purebp.verification.checks import CHECKS
from purebp.verification.probe import Probe
from purebp.verification.target import make_target
from reference.wrong_gradients import LAYERS

CALLS = {"n": 0}


def affine(x, w, b):
    return x @ w + b


def affine_fwd(x, w, b):
    return affine(x, w, b), (x, w)


def affine_bwd(res, g):
    x, w = res
    return g @ w.T, x.T @ g, g.sum(0)


def half_of_b(res, g):
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    return x_bar, w_bar, b_bar / 2


def one_wrong_entry(res, g):
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    return x_bar, w_bar.at[-1, -1].multiply(1 + 1e-5), b_bar


def upstream_ignored(res, g):
    return affine_bwd(res, jnp.ones_like(g))


def upstream_squared_in_b(res, g):
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    return x_bar, w_bar, b_bar * jnp.abs(b_bar)


def low_precision(res, g):
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    return x_bar, w_bar, b_bar.astype(jnp.bfloat16)


def rounded_when_narrow(res, g):
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    if b_bar.dtype == jnp.float32:
        b_bar = b_bar.astype(jnp.bfloat16).astype(jnp.float32)
    return x_bar, w_bar, b_bar


def summed_in_16_bits(res, g):
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    if g.dtype == jnp.bfloat16:
        rows = jnp.concatenate([g * 64, g, -g * 64])
        b_bar = jax.lax.fori_loop(0, len(rows), lambda i, total: total + rows[i], 0 * g[0])
    return x_bar, w_bar, b_bar


def other_when_traced(res, g):
    factor = 2 if isinstance(g, jax.core.Tracer) else 1
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    return x_bar, w_bar, factor * b_bar


@jax.custom_batching.custom_vmap
def sum_of_rows(g):
    return g.sum(0)


@sum_of_rows.def_vmap
def _sum_of_rows_batched(size, batched, g):
    total = jnp.broadcast_to(g.sum((0, 1)), (size, g.shape[-1]))
    return total, True


def wrong_when_batched(res, g):
    x_bar, w_bar, _ = affine_bwd(res, g)
    return x_bar, w_bar, sum_of_rows(g)


def _count(b_bar):
    CALLS["n"] += 1
    return np.asarray(b_bar) + np.asarray(b_bar).dtype.type(1e-3 * CALLS["n"])


def other_each_time(res, g):
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    shape = jax.ShapeDtypeStruct(b_bar.shape, b_bar.dtype)
    return x_bar, w_bar, jax.pure_callback(_count, shape, b_bar, vmap_method="sequential")


def constant_weights(res, g):
    return affine_bwd(jax.lax.stop_gradient(res), g)


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward_in_place(dout, cache):
    x_bar, w_bar, b_bar = affine_bwd(cache, dout)
    dout *= 2
    return x_bar, w_bar, b_bar


def detached(x, w, b):
    return x @ w + jax.lax.stop_gradient(b)


def detached_bwd(res, g):
    x_bar, w_bar, b_bar = affine_bwd(res, g)
    return x_bar, w_bar, jnp.zeros_like(b_bar)


def shifted_fwd(x, w, b):
    return affine(x, w, b) + 1e-3, (x, w)


def make_custom_vjp(body, fwd, bwd):
    layer = jax.custom_vjp(body)
    layer.defvjp(fwd, bwd)
    return layer


def deaf_fwd(x, w, b):
    return affine(x.value, w.value, b.value), (x.value, w.value, x.perturbed and w.perturbed)


def deaf_bwd(res, g):
    """Right if both x and w are differentiated."""
    x, w, both = res
    return affine_bwd((x, w), g if both else 0 * g)


def deaf_layer():
    layer = jax.custom_vjp(affine)
    layer.defvjp(deaf_fwd, deaf_bwd, symbolic_zeros=True)
    return layer


PLANTED = [
    ("contract", (affine_fwd, low_precision), None),
    ("forward", make_custom_vjp(affine, shifted_fwd, affine_bwd), None),
    ("gradient float32", (affine_fwd, rounded_when_narrow), affine),
    ("gradient float32", (affine_fwd, half_of_b), affine),
    ("gradient float64", (affine_fwd, half_of_b), affine),
    ("jacobian", (affine_fwd, one_wrong_entry), affine),
    ("linearity", (affine_fwd, upstream_ignored), affine),
    ("linearity", (affine_fwd, upstream_squared_in_b), affine),
    ("finite differences", make_custom_vjp(detached, affine_fwd, detached_bwd), None),
    ("16 bits", (affine_fwd, summed_in_16_bits), affine),
    ("jit", (affine_fwd, other_when_traced), affine),
    ("vmap", (affine_fwd, wrong_when_batched), affine),
    ("unused", deaf_layer(), None),
    ("second order", (affine_fwd, constant_weights), affine),
    ("repeat", (affine_fwd, other_each_time), affine),
    ("buffers", (affine_forward, affine_backward_in_place), None),
]


def run(check, target, reference=None, shapes="b d, d k, k"):
    made = make_target(target, reference=reference, shapes=shapes)
    probe = Probe(made, variants(made)[0])
    return CHECKS[check](probe, Case(probe.variant, PATTERNS[0], COTANGENTS[0], 0))


@pytest.mark.parametrize(
    ("check", "target", "reference"),
    PLANTED,
    ids=[f"{row[0]}-{i}" for i, row in enumerate(PLANTED)],
)
def test_the_check_catches_its_planted_bug(check, target, reference):
    assert run(check, target, reference).failure is not None


@pytest.mark.parametrize("check", CHECKS)
def test_the_check_passes_the_right_layer(check):
    outcome = run(check, (affine_fwd, affine_bwd), affine)
    assert outcome.failure is None
    assert not outcome.inconclusive


def test_every_check_has_a_planted_bug():
    assert {row[0] for row in PLANTED} == set(CHECKS)


def test_float32_that_remains_makes_the_verdict_inconclusive():
    def narrow_bwd(res, g):
        return tuple(bar.astype(jnp.float32) for bar in affine_bwd(res, g))

    outcome = run("gradient float64", (affine_fwd, narrow_bwd), affine)
    assert "float32 remains" in outcome.inconclusive
    assert outcome.failure is None


def test_randomness_that_depends_on_the_precision_makes_the_verdict_inconclusive():
    def noisy(x):
        return x * jax.random.normal(jax.random.key(0), x.shape, x.dtype)

    def noisy_fwd(x):
        return noisy(x), None

    def noisy_bwd(res, g):
        return (noisy(g),)

    outcome = run("gradient float32", (noisy_fwd, noisy_bwd), noisy, shapes="b d")
    assert "differs between float32 and float64" in outcome.inconclusive


def test_an_oracle_without_a_number_decides_nothing():
    def root(x):
        return jnp.sqrt(-jnp.abs(x) - 1)

    def root_fwd(x):
        return root(x), x

    def root_bwd(res, g):
        return (g,)

    assert run("gradient float64", (root_fwd, root_bwd), root, shapes="n").inconclusive


def relu_with_slope(at_zero):
    def fwd(x):
        return jnp.maximum(x, 0), x

    def bwd(x, g):
        return (g * jnp.where(x > 0, 1.0, jnp.where(x == 0, at_zero, 0.0)).astype(g.dtype),)

    return fwd, bwd


@pytest.mark.parametrize(
    ("at_zero", "right"), [(0.0, True), (1.0, True), (0.3, True), (1.5, False)]
)
@pytest.mark.parametrize("check", ["gradient float32", "gradient float64", "jacobian"])
def test_at_a_kink_only_slopes_between_the_two_sides_are_conventions(check, at_zero, right):
    made = make_target(relu_with_slope(at_zero), shapes="n")
    probe = Probe(made, variants(made)[3])
    outcome = CHECKS[check](probe, Case(probe.variant, "ties", "normal", 1))
    assert outcome.convention == right
    assert (outcome.failure is None) == right


@pytest.mark.parametrize(("at_zero", "right"), [(0.0, True), (0.5, True), (1.5, False)])
def test_two_kinks_that_cancel_in_the_differences_are_a_convention_too(at_zero, right):
    """At 0 both differences of max(0, x + z) - max(0, z - x) along x are 1; 0 to 2 are right."""

    def fwd(x, z):
        return jnp.maximum(x + z, 0) - jnp.maximum(z - x, 0), (x, z)

    def bwd(res, g):
        x, z = res
        first, second = (jnp.where(s > 0, 1, jnp.where(s == 0, at_zero, 0)) for s in (x + z, z - x))
        return (first + second).astype(g.dtype) * g, (first - second).astype(g.dtype) * g

    made = make_target((fwd, bwd), shapes="n, n")
    probe = Probe(made, variants(made)[3])
    drawn = [Case(probe.variant, "ties", "normal", seed) for seed in range(20)]
    both = [case for case in drawn if bool((sum(map(abs, probe.inputs(case)[0])) == 0).any())]
    outcomes = [CHECKS["finite differences"](probe, case) for case in both]
    assert any(outcome.convention for outcome in outcomes) == (at_zero == 0)  # 0.5 gives 1 too
    assert all(outcome.failure is None for outcome in outcomes) == right


def test_a_tie_that_pays_both_sides_in_full_is_wrong():
    def fwd(x, y):
        return jnp.maximum(x, y), (x, y)

    def bwd(res, g):
        x, y = res
        return g * (x >= y), g * (y >= x)

    made = make_target((fwd, bwd), shapes="n, n")
    probe = Probe(made, variants(made)[3])
    outcome = CHECKS["jacobian"](probe, Case(probe.variant, "ties", "normal", 3))
    x, y = probe.inputs(Case(probe.variant, "ties", "normal", 3))[0]
    assert bool((x == y).any())
    assert outcome.failure is not None


def straight_through(x, g):
    return (g,)


def almost_flat(x, g):
    return (1e-9 * g,)


@pytest.mark.parametrize("check", ["gradient float64", "jacobian", "finite differences"])
@pytest.mark.parametrize("bwd", [straight_through, almost_flat])
def test_a_sign_with_a_slope_is_caught(check, bwd):
    sign = make_custom_vjp(jnp.sign, lambda x: (jnp.sign(x), x), bwd)
    assert run(check, sign, shapes="n").failure is not None


@pytest.mark.parametrize("pattern", PATTERNS)
def test_differences_that_are_all_zero_decide(pattern):
    """Only a flat function has them: a slope that rounding hides is not decided."""

    def flat_bwd(x, g):
        return (0 * g,)

    for function, decided in ((jnp.sign, True), (lambda x: 1e20 + x, False)):
        layer = make_custom_vjp(function, lambda x, f=function: (f(x), x), flat_bwd)
        probe = Probe(made := make_target(layer, shapes="n"), variants(made)[0])
        outcome = CHECKS["finite differences"](probe, Case(probe.variant, pattern, "normal", 1))
        assert outcome.failure is None
        assert bool(outcome.inconclusive) != decided


def test_differences_of_a_function_that_turns_within_a_step_are_no_slopes():
    """h = h + w sin(h), five times, at numbers of a thousand: a slope of 1e14, of no digit."""
    layer = next(layer for layer in LAYERS if layer.name == "bounded_loop")
    example = layer.example(np.random.default_rng(0))
    probe = Probe(made := make_target(layer.right, examples=example), variants(made)[0])
    case = Case(probe.variant, "large", "normal", 7009)
    assert CHECKS["finite differences"](probe, case).failure is None


def test_a_slope_that_is_much_too_steep_is_seen_by_differences():
    def steep_bwd(x, g):
        return (1e10 * jnp.cos(x) * g,)

    layer = make_custom_vjp(jnp.sin, lambda x: (jnp.sin(x), x), steep_bwd)
    assert run("finite differences", layer, shapes="n").failure is not None


def test_the_failure_names_argument_element_and_numbers():
    failure = run("jacobian", (affine_fwd, one_wrong_entry), affine).failure
    assert failure is not None
    assert failure.argument == "w"
    assert failure.element == (2, 4)
    assert failure.got / failure.expected == pytest.approx(1 + 1e-5, rel=1e-9)


def test_a_large_jacobian_is_not_built():
    def double_fwd(x):
        return 2 * x, None

    def double_bwd(res, g):
        return (2 * g,)

    op = Op(double_fwd, double_bwd, name="double")
    made = make_target(op, None, None, None, (np.ones((2000,), np.float32),))
    probe = Probe(made, variants(made)[0])
    case = Case(probe.variant, "normal", "normal", 3)
    assert not probe.has_jacobian
    assert CHECKS["jacobian"](probe, case).inconclusive
    assert CHECKS["gradient float64"](probe, case).failure is None


def test_rounding_at_the_very_point_is_allowed_for_and_nothing_more():
    """The derivative of x / |x| is 0, and what remains is 867 (1/|x|) roundings."""
    variant = Variant((), ((2, 1),))
    case = Case(variant, "wide", "normal", 43867)
    right = Probe(make_target(OPS["l2_normalize"]), variant, quick=True)
    assert CHECKS["gradient float64"](right, case).failure is None

    target = make_target(OPS["l2_normalize"])
    pull = target.pull

    def off(settings, args, y_bar):
        y, bars = pull(settings, args, y_bar)
        return y, (bars[0] + 1e-10 * y_bar,)

    wrong = Probe(dataclasses.replace(target, pull=off), variant, quick=True)
    assert CHECKS["gradient float64"](wrong, case).failure is not None
