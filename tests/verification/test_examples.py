"""Right layers that are known by an example only: no alarm, and little that stays undecided."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.verification.cases import Case, Variant, fixed_cases, make_args, variants
from purebp.verification.checks import CHECKS, out_of_range
from purebp.verification.natures import Pool, like, nature_of
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

X = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2)), jnp.float32)


def normed(x, b):
    z = x + b
    z = z - z.mean(0)
    return z * jax.lax.rsqrt((z * z).mean(0) + 1e-5)


def normed_fwd(x, b):
    return normed(x, b), (x, b)


def normed_bwd(res, g):
    return jax.vjp(normed, *res)[1](g)


def test_a_sum_that_cancels_agrees_with_differences_that_are_zero():
    made = make_target((normed_fwd, normed_bwd), examples=(X, X[0]))
    probe = Probe(made, Variant((), ((), (2,))), quick=True)
    cases = [Case(probe.variant, "nothing", "normal", seed) for seed in (1, 11)]
    assert all(CHECKS["finite differences"](probe, case).failure is None for case in cases)


def masked_fwd(x, bias):
    y = jax.nn.softmax(x + bias)
    return y, y


def masked_bwd(y, g):
    x_bar = y * (g - (g * y).sum(-1, keepdims=True))
    return x_bar, x_bar


def decided(target):
    variant = Variant((), target.given.shapes)
    probe = Probe(target, variant, quick=True)
    cases = fixed_cases(variant, ("normal", "ties", "zeros"))
    return [out_of_range("jacobian", probe, case) is None for case in cases]


def test_most_cases_of_an_ordinary_layer_are_decided():
    made = make_target((masked_fwd, masked_bwd), examples=(X, 0 * X))
    assert all(decided(made))


def test_a_bias_that_is_minus_infinity_where_it_hides_leaves_cases_to_decide():
    bias = jnp.where(jnp.asarray([[True, False]]), 0.0, -jnp.inf)
    made = make_target((masked_fwd, masked_bwd), examples=(X, jnp.broadcast_to(bias, X.shape)))
    assert sum(decided(made)) > 3


def test_a_special_label_of_the_example_is_no_lower_end_of_a_range():
    labels = nature_of(jnp.array([0, 3, -100]))
    drawn = like(labels, (50,), "normal", np.random.default_rng(0), Pool((), ()))
    assert set(np.asarray(drawn).tolist()) <= {-100, 0, 1, 2, 3}


def layer_norm_fwd(x, gamma, beta):
    centred = x - x.mean(-1, keepdims=True)
    rstd = jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return gamma * centred * rstd + beta, (centred * rstd, rstd, gamma)


def layer_norm_bwd(res, g):
    normal, rstd, gamma = res
    n_bar = g * gamma
    mean = n_bar.mean(-1, keepdims=True) + normal * (n_bar * normal).mean(-1, keepdims=True)
    return rstd * (n_bar - mean), (g * normal).sum(0), g.sum(0)


def cross_entropy_fwd(z, t):
    return (jnp.logaddexp(0, z) - t * z).mean(), (z, t)


def cross_entropy_bwd(res, g):
    z, t = res
    return g * (jax.nn.sigmoid(z) - t) / z.size, -g * z / z.size


@pytest.mark.parametrize(
    ("pair", "examples"),
    [
        ((layer_norm_fwd, layer_norm_bwd), (X, X[0], X[1])),
        ((cross_entropy_fwd, cross_entropy_bwd), (X[0], jnp.array([0.0, 1.0]))),
    ],
    ids=["layer norm", "cross entropy"],
)
def test_a_layer_need_not_broadcast_what_its_example_does_not(pair, examples):
    made = make_target(pair, examples=examples)
    for variant in variants(made):
        probe = Probe(made, variant)
        assert CHECKS["contract"](probe, probe.first).failure is None


def rows_fwd(table, places):
    return table[places], (places, table)


def rows_bwd(res, g):
    places, table = res
    return jnp.zeros_like(table).at[places].add(g), None


def test_a_label_beyond_its_axis_is_never_drawn():
    made = make_target((rows_fwd, rows_bwd), examples=(X, jnp.array([0, 1, 1])))
    for seed in range(5):
        case = Case(variants(made)[0], "special labels", "normal", seed)
        assert make_args(made, case)[1].max() < len(X)


def affine_norm_fwd(x, w, b):
    z = x @ w + b
    z = z - z.mean(0)
    rstd = jax.lax.rsqrt((z * z).mean(0) + 1e-5)
    return z * rstd, (z * rstd, rstd, x, w)


def affine_norm_bwd(res, g):
    normal, rstd, x, w = res
    z_bar = rstd * (g - g.mean(0) - normal * (g * normal).mean(0))
    return z_bar @ w.T, x.T @ z_bar, z_bar.sum(0)


def test_a_bias_that_a_norm_takes_away_may_have_the_rounding_of_its_terms():
    examples = jnp.ones((5, 1)).at[0].set(-1.0), X.T[:1], X[:, 0]
    made = make_target((affine_norm_fwd, affine_norm_bwd), examples=examples)
    probe = Probe(made, variants(made)[0], quick=True)
    cases = [Case(probe.variant, "wide", "normal", seed) for seed in range(20)]
    assert all(CHECKS["gradient float64"](probe, case).failure is None for case in cases)
