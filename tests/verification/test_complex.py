"""Complex arguments and outputs: right ones pass, and what is easily forgotten is found."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Complex, Float

import purebp
from purebp.op import Op
from purebp.verification.cases import Case, make_args, variants
from purebp.verification.checks import CHECKS
from purebp.verification.comparison import Outcome
from purebp.verification.layout import layout_of
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

X = jnp.array([1.0 + 2.0j, -0.5 + 0.25j], jnp.complex64)
A = jnp.array([0.75, -1.5])


def turn(x: Complex[Array, "n"], a: Float[Array, "n"]) -> Complex[Array, "n"]:
    """a x e^(ix), holomorphic in x."""
    return a * x * jnp.exp(1j * x)


def turn_fwd(x: Any, a: Any) -> Any:
    return turn(x, a), (x, a)


def turn_bwd(res: Any, y_bar: Any) -> Any:
    x, a = res
    return y_bar * a * jnp.exp(1j * x) * (1 + 1j * x), jnp.real(y_bar * x * jnp.exp(1j * x))


def conjugated(res: Any, y_bar: Any) -> Any:
    x_bar, a_bar = turn_bwd(res, y_bar)
    return jnp.conj(x_bar), a_bar


def without_imaginary_part(res: Any, y_bar: Any) -> Any:
    x_bar, a_bar = turn_bwd(res, y_bar)
    return x_bar.real.astype(x_bar.dtype), a_bar


def of_the_modulus(res: Any, y_bar: Any) -> Any:
    x_bar, _ = turn_bwd(res, y_bar)
    return x_bar, jnp.abs(y_bar * res[0] * jnp.exp(1j * res[0]))


def of_half_the_upstream(res: Any, y_bar: Any) -> Any:
    return turn_bwd(res, jnp.real(y_bar).astype(y_bar.dtype))


def custom(backward: Any) -> Any:
    function = jax.custom_vjp(turn)
    function.defvjp(turn_fwd, backward)
    return function


def test_a_custom_vjp_of_complex_numbers_passes() -> None:
    report = purebp.verify(custom(turn_bwd), X, A, max_examples=1)
    assert report.verdict == "pass", str(report)
    assert report.checks["jacobian"].cases > 0


def outcome(target: Any, check: str) -> Outcome:
    """What one check says about the first case of a target."""
    probe = Probe(target, variants(target)[0])
    return CHECKS[check](probe, probe.first)


def test_a_conjugate_forgotten_is_reported_by_the_part() -> None:
    report = purebp.verify(custom(conjugated), X, A, max_examples=1)
    assert report.verdict == "fail"
    for check in ("gradient float32", "gradient float64", "jacobian", "finite differences"):
        assert report.checks[check].verdict == "fail"
    assert {failure.argument for failure in report.failures} == {"x.imag"}
    assert "cotangent of x.imag, element [" in str(report)


@pytest.mark.parametrize(
    ("backward", "arguments"),
    [
        (without_imaginary_part, {"x.imag"}),
        (of_the_modulus, {"a"}),
        (of_half_the_upstream, {"x.real", "x.imag", "a"}),
    ],
)
def test_what_is_easily_forgotten_is_found(backward: Any, arguments: set[str]) -> None:
    failure = outcome(make_target(custom(backward), examples=(X, A)), "jacobian").failure
    assert failure is not None
    assert failure.argument in arguments


def size(x: Complex[Array, "n"]) -> Float[Array, "n"]:
    """|x|^2, which is not holomorphic."""
    return jnp.real(x) ** 2 + jnp.imag(x) ** 2


def size_fwd(x: Any) -> Any:
    return size(x), x


def size_bwd(x: Any, y_bar: Any) -> Any:
    return (2 * y_bar * jnp.conj(x),)


def size_bwd_of_x(x: Any, y_bar: Any) -> Any:
    return (2 * y_bar * x,)


def test_the_gradient_of_a_modulus_is_a_conjugate() -> None:
    right = outcome(make_target(Op(size_fwd, size_bwd, size)), "jacobian")
    wrong = outcome(make_target(Op(size_fwd, size_bwd_of_x, size)), "jacobian")
    assert right == Outcome(right.worst)
    assert wrong.failure is not None
    assert wrong.failure.argument == "x.imag"


def test_the_cotangent_of_a_complex_argument_is_complex() -> None:
    def backward(res: Any, y_bar: Any) -> Any:
        return jnp.real(y_bar), jnp.real(y_bar)

    report = purebp.verify((turn_fwd, backward), X, A)
    assert report.verdict == "fail"
    assert "the cotangent of x has dtype float32, expected a complex one, as x is" in str(report)

    def too_much(res: Any, y_bar: Any) -> Any:
        return y_bar, y_bar

    report = purebp.verify((turn_fwd, too_much), X, A)
    assert "the cotangent of a has dtype complex64, expected a real one, as a is" in str(report)


def tree_fwd(tree: Any, n: Any, a: Any) -> Any:
    return tree, (n, a)


def test_the_parts_of_a_layout() -> None:
    args = ({"z": X}, jnp.arange(2), A)
    target = make_target((tree_fwd, size_bwd), examples=args)
    layout = layout_of(target, args)
    chosen, rest = layout.split(args)
    assert layout.chosen(layout.names) == ["tree['z'].real", "tree['z'].imag", "a"]
    assert layout.place(3) == ("tree['z'].imag", (1,))
    assert len(chosen) == 3
    again = layout.join(chosen, rest)
    np.testing.assert_array_equal(again[0]["z"], X)
    slopes = layout.cotangents(({"z": X}, None, A), chosen)
    np.testing.assert_array_equal(slopes[1], -X.imag)
    assert layout.declared_none((None, None, A)) == [True, True, False]
    sizes = layout.modulus(np.array([3.0, 0.0, 4.0, 1.0, 7.0, 8.0]))
    assert sizes.tolist() == [5.0, 1.0, 5.0, 1.0, 7.0, 8.0]


def test_complex_values_are_drawn_and_examples_moved() -> None:
    target = make_target(purebp.gates.mul)
    kinds = [
        [np.iscomplexobj(arg) for arg in make_args(target, Case(variant, "ties", "normal", 0))]
        for variant in variants(target)
    ]
    assert kinds[-2:] == [[True, True], [False, True]]
    assert not any(map(any, kinds[:-2]))
    assert "complex numbers" in Case(variants(target)[-2], "ties", "normal", 0).describe()
    given = make_target(custom(turn_bwd), examples=(X, A))
    moved = make_args(given, Case(variants(given)[0], "normal", "normal", 1))[0]
    assert np.all(moved.real != X.real)
    assert np.all(moved.imag != X.imag)
