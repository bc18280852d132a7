"""`purebp.verify` as a user calls it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp import gates
from purebp.errors import OptionError, TargetError, VerificationError


def scale(x, *, factor=2.0):
    return factor * x


def scale_fwd(x, *, factor=2.0):
    return factor * x, None


def scale_bwd(res, g, *, factor=2.0):
    return (factor * g,)


def fixed_bwd(res, g):
    return (2.0 * g,)


@jax.custom_vjp
def cube(x):
    return x**3


cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))


def test_an_op_a_pair_and_a_custom_vjp_pass():
    for report in (
        purebp.verify(gates.square, max_examples=1),
        purebp.verify((scale_fwd, scale_bwd), jnp.ones((2, 3))),
        purebp.verify(cube, np.array([1.0, -2.0])),
    ):
        assert report.ok, str(report)
        assert report.verdict == "pass"
        assert not report.failures
        report.raise_if_failed()


def test_static_tries_every_value_of_a_list():
    right = purebp.verify(
        (scale_fwd, scale_bwd), shapes="n", static={"factor": [2.0, 3.0]}, max_examples=1
    )
    assert right.ok, str(right)
    wrong = purebp.verify(
        (scale_fwd, fixed_bwd), shapes="n", static={"factor": [2.0, 3.0]}, max_examples=1
    )
    assert wrong.verdict == "fail"
    assert "factor=3.0" in wrong.failures[0].case


def test_a_wrong_gradient_fails_with_the_numbers_and_raises_on_demand():
    report = purebp.verify((scale_fwd, fixed_bwd), shapes="n", reference=lambda x: 4 * x)
    assert report.verdict == "fail"
    assert "gradient float64 failed: cotangent of x" in str(report)
    with pytest.raises(VerificationError, match="gradient float64 failed"):
        report.raise_if_failed()
    parsed = json.loads(report.to_json())
    assert parsed["verdict"] == "fail"
    assert parsed["failures"]


def test_the_same_seed_gives_the_same_report():
    first = purebp.verify((scale_fwd, fixed_bwd), shapes="n", reference=jnp.sin, seed=5)
    second = purebp.verify((scale_fwd, fixed_bwd), shapes="n", reference=jnp.sin, seed=5)
    assert str(first) == str(second)
    assert first == second


def test_rtol_and_atol_replace_the_tolerance():
    def near(res, g):
        return (2.0002 * g,)

    def verify_near(**how):
        return purebp.verify((scale_fwd, near), shapes="n", static={"factor": 2.0}, **how)

    assert verify_near(max_examples=1).verdict == "fail"
    report = verify_near(rtol=1e-3, max_examples=1)
    assert report.checks["gradient float64"].verdict == "pass"
    report = verify_near(atol=10.0, max_examples=1)
    assert report.checks["gradient float64"].verdict == "pass"


def test_a_backward_pass_that_raises_or_returns_too_few_is_a_failure_not_a_crash():
    def raising(res, g):
        raise ValueError("boom")

    def too_few(res, g):
        return ()

    report = purebp.verify((scale_fwd, raising), shapes="n")
    assert report.verdict == "fail"
    assert "bwd raised ValueError: boom" in str(report)
    assert report.checks["jacobian"].verdict == "not run"
    report = purebp.verify((scale_fwd, too_few), shapes="n")
    assert "bwd returned 0 cotangents, expected 1" in str(report)


def place_fwd(x):
    return jnp.argmax(x), x


def no_bwd(x, g):
    return (None,)


def zero_bwd(x, g):
    return (jnp.zeros_like(x),)


def one_bwd(x, g):
    return (jnp.ones_like(x),)


@pytest.mark.parametrize("bwd", [no_bwd, zero_bwd])
def test_where_the_output_is_an_integer_no_derivative_is_said_to_be_right(bwd):
    report = purebp.verify((place_fwd, bwd), shapes="n", max_examples=1)
    assert (report.verdict, report.ok) == ("vacuous", True)
    verdicts = {name: check.verdict for name, check in report.checks.items()}
    assert verdicts.pop("contract") == verdicts.pop("forward") == "pass"
    assert set(verdicts.values()) == {"vacuous"}
    assert "no floating output: there is no derivative to check" in str(report)


def test_an_integer_that_hands_a_gradient_back_or_is_another_one_is_caught():
    report = purebp.verify((place_fwd, one_bwd), shapes="n", max_examples=1)
    assert report.verdict == "fail"
    assert "the cotangent of x is not 0, but the output has no floating numbers" in str(report)
    report = purebp.verify((place_fwd, no_bwd), shapes="n", reference=jnp.argmin, max_examples=1)
    assert (report.verdict, report.checks["forward"].verdict) == ("fail", "fail")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: purebp.verify("sin"), TargetError, "cannot verify a str.*expected a purebp Op"),
        (lambda: purebp.verify(jnp.sin), TargetError, "sin: .* give example arguments"),
        (lambda: purebp.verify(jnp.sin, 1.0), TargetError, "contains no hand-written rule"),
        (lambda: purebp.verify((scale_fwd, scale_bwd)), TargetError, "give example arguments"),
        (
            lambda: purebp.verify((scale_fwd, scale_bwd), shapes="a, b"),
            TargetError,
            "shapes has 2 groups .* expected 1",
        ),
        (
            lambda: purebp.verify((scale_fwd, scale_bwd), shapes="a", static={"facto": 2}),
            OptionError,
            "no option 'facto'; did you mean 'factor'",
        ),
        (
            lambda: purebp.verify(gates.matmul, jnp.ones((2, 3)), jnp.ones((4, 5))),
            TargetError,
            "expected .3, 5. from axis -1 of x",
        ),
    ],
)
def test_what_cannot_be_verified_is_refused_in_one_line(call, error, text):
    with pytest.raises(error, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)
