"""Where the numbers of an argument lie, as a user says."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import purebp
from purebp.errors import OptionError
from purebp.op import NONZERO, POSITIVE, REAL, between
from purebp.verification.cases import fixed_cases, make_args, patterns_of, variants
from purebp.verification.domain import put_inside, read_domains
from purebp.verification.target import make_target

X = jnp.asarray([[0.5, 0.25], [0.75, 0.125]], jnp.float32)


def entropy_fwd(p, x):
    return -(p * jnp.log(p) + (1 - p) * jnp.log1p(-p)) * x, (p, x)


def entropy_bwd(res, y_bar):
    p, x = res
    y = -(p * jnp.log(p) + (1 - p) * jnp.log1p(-p))
    return (jnp.log1p(-p) - jnp.log(p)) * x * y_bar, y * y_bar


@given(st.sampled_from([POSITIVE, NONZERO, between(-1, 1), between(2), between(high=-3.0)]))
def test_numbers_outside_are_drawn_anew_and_those_inside_stay(domain):
    rng = np.random.default_rng(0)
    values = jnp.asarray([0.0, -4.0, 4.0, 0.5, -0.5, jnp.nan, jnp.inf], jnp.float32)
    inside = np.asarray(put_inside(values, domain, rng))
    assert np.array_equal(inside, np.asarray(put_inside(inside, domain, rng)))
    low, high = {"positive": (0, np.inf), "nonzero": (-np.inf, np.inf)}.get(
        domain.kind, (domain.low, domain.high)
    )
    kept = np.asarray((values > low) & (values < high))
    if domain == NONZERO:
        kept = kept & np.asarray(values != 0)
    assert np.all((inside > low) & (inside < high))
    assert domain != NONZERO or np.all(inside != 0)
    assert np.array_equal(inside[kept], np.asarray(values)[kept])


def test_integers_and_arguments_anywhere_are_left_alone():
    rng = np.random.default_rng(0)
    labels = jnp.asarray([-1, 0])
    assert put_inside(labels, POSITIVE, rng) is labels
    assert put_inside(X, REAL, rng) is X


def test_every_case_of_a_target_lies_inside():
    made = make_target((entropy_fwd, entropy_bwd), examples=(X, -X), domain={"p": (0, 1)})
    xs = list[np.ndarray]()
    for variant in variants(made):
        for case in fixed_cases(variant, patterns_of(made)):
            p, x = map(np.asarray, make_args(made, case))
            assert np.all((p > 0) & (p < 1))
            xs.append(x)
    assert any(np.any(x > 1) for x in xs)


def test_a_layer_that_is_right_inside_passes():
    call = {"budget": "quick", "max_examples": 1}
    report = purebp.verify((entropy_fwd, entropy_bwd), X, -X, domain={"p": (0, 1)}, **call)
    assert report.ok, report
    by_shapes = purebp.verify(
        (entropy_fwd, entropy_bwd), shapes="a b, a b", domain={"p": (0, 1)}, **call
    )
    assert by_shapes.ok, by_shapes


def test_names_and_bounds_are_read():
    assert read_domains("f", ("x", "p"), {"x": "positive", "p": (0, 1)}) == {
        "x": POSITIVE,
        "p": between(0, 1),
    }
    assert read_domains("f", ("x",), {"x": NONZERO}) == {"x": NONZERO}


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ({"y": "positive"}, r"f: domain names 'y', expected one of x, p"),
        ({"x": "negative"}, r"f: the domain of x is 'negative', expected one of real, positive"),
        ({"x": (1, 0)}, r"two bounds, the lower one first, as in \(0, 1\)"),
        ({"x": (1,)}, r"the domain of x is \(1,\)"),
        ({"x": ("a", "b")}, r"the domain of x is \('a', 'b'\)"),
    ],
)
def test_another_domain_is_refused(domain, message):
    with pytest.raises(OptionError, match=message):
        read_domains("f", ("x", "p"), domain)
