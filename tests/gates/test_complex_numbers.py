"""Complex gates: values at zeros and infinities, who takes them, and what comes back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import Op, gates, linalg, verify
from purebp.errors import DtypeError
from purebp.gates import abs, add, angle, complex, conj, exp, imag, matmul, mul, real, sum, tanh

Z = jnp.array([3 + 4j, -1j, 0, -2 + 0j], jnp.complex64)


def test_the_modulus_has_the_slope_0_at_0() -> None:
    y, res = abs.fwd(Z)
    assert y.tolist() == [5, 1, 0, 2]
    (x_bar,) = abs.bwd(res, jnp.ones(4))
    np.testing.assert_allclose(x_bar, [0.6 - 0.8j, 1j, 0, -1], rtol=1e-6)
    np.testing.assert_allclose(x_bar, jax.grad(lambda z: jnp.sum(jnp.abs(z)))(Z), rtol=1e-6)


def test_a_step_against_the_conjugate_goes_down() -> None:
    def loss(z: Any) -> Any:
        return sum(abs(add(z, conj(mul(z, z)))))

    z_bar = jax.grad(loss)(Z)
    assert loss(Z - 1e-3 * jnp.conj(z_bar)) < loss(Z)
    np.testing.assert_allclose(
        z_bar, jax.grad(lambda z: jnp.sum(jnp.abs(z + jnp.conj(z * z))))(Z), rtol=1e-5
    )


def test_a_real_argument_beside_a_complex_one_has_a_real_cotangent() -> None:
    x = jnp.array([1.0, 2.0, 3.0, 4.0])
    y, res = mul.fwd(x, Z)
    x_bar, z_bar = mul.bwd(res, jnp.full(4, 1j, jnp.complex64))
    assert (y.dtype, x_bar.dtype, z_bar.dtype) == (jnp.complex64, jnp.float32, jnp.complex64)
    assert x_bar.tolist() == (-Z.imag).tolist()
    np.testing.assert_array_equal(z_bar, 1j * x)
    total = mul.bwd(mul.fwd(jnp.float32(2), Z)[1], Z)[0]
    assert (total.shape, total.dtype) == ((), jnp.float32)


def test_parts_and_angles() -> None:
    assert real(Z).tolist() == [3, 0, 0, -2]
    assert imag(Z).tolist() == [4, -1, 0, 0]
    np.testing.assert_array_equal(complex(real(Z), imag(Z)), Z)
    np.testing.assert_array_equal(conj(conj(Z)), Z)
    np.testing.assert_allclose(mul(abs(Z), exp(mul(angle(Z), 1j))), Z, atol=1e-6)
    tiny = jnp.array([1e-30 + 1e-30j, 1e30 - 1e30j], jnp.complex64)
    (x_bar,) = angle.bwd(angle.fwd(tiny)[1], jnp.ones(2))
    np.testing.assert_allclose(x_bar, [-5e29 - 5e29j, 5e-31 - 5e-31j], rtol=1e-6)
    assert np.isnan(angle.bwd(angle.fwd(Z)[1], jnp.ones(4))[0][2])


def test_a_complex_number_is_a_cotangent_of_a_complex_output_only() -> None:
    _, res = exp.fwd(jnp.complex64(0))
    assert exp.bwd(res, 2j)[0] == 2j
    with pytest.raises(DtypeError, match=r"^exp: y_bar has dtype complex64, expected float32"):
        exp.bwd(exp.fwd(jnp.float32(0))[1], 2j)
    with pytest.raises(DtypeError, match=r"^exp: y_bar has dtype float32, expected complex64"):
        exp.bwd(exp.fwd(Z)[1], jnp.ones(4))


@pytest.mark.parametrize("gate", [tanh, gates.max, gates.cummax], ids=lambda gate: gate.name)
def test_real_gates_refuse_complex_numbers(gate: Any) -> None:
    args = [Z] * len(gate.signature.parameters)
    message = rf"^{gate.name}: x has dtype complex64, expected a floating dtype; pass a real array"
    with pytest.raises(DtypeError, match=message):
        gate(*args)


def test_there_are_no_complex_numbers_of_sixteen_bits() -> None:
    half = jnp.ones(2, jnp.bfloat16)
    with pytest.raises(DtypeError, match=r"^complex: x has dtype bfloat16, expected float32 or"):
        complex(half, half)
    with pytest.raises(DtypeError, match=r"^real: x has dtype float32, expected a complex dtype;"):
        real(jnp.ones(2))


def test_products_of_complex_matrices_have_no_conjugate() -> None:
    a = Z.reshape(2, 2)
    b = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    y_bar = jnp.array([[1j, 1], [2, 0]], jnp.complex64)
    for op, idiomatic in ((matmul, jnp.matmul), (linalg.einsum, jnp.matmul)):
        came = op.bwd(op.fwd(a, b)[1], y_bar)
        expected = jax.vjp(idiomatic, a, b)[1](y_bar)
        assert [bar.dtype for bar in came] == [jnp.complex64, jnp.float32]
        for bar, want in zip(came, expected, strict=True):
            np.testing.assert_allclose(bar, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("op", "args"),
    [
        (gates.pad, (Z, Z[0])),
        (gates.concatenate, ((Z, Z[:2]),)),
        (gates.stack, ((Z, 2 * Z),)),
        (gates.unstack, (Z,)),
        (gates.split, (Z,)),
        (gates.take, (Z, jnp.array([0, 2, 2, -1]))),
        (gates.take_along_axis, (Z, jnp.array([0, 2, 2]))),
    ],
    ids=lambda value: value.name if isinstance(value, Op) else "",
)
def test_gates_that_join_cut_and_pick(op: Op, args: tuple[Any, ...]) -> None:
    report = verify(op, *args, static={"padding": 1} if op is gates.pad else None, max_examples=1)
    assert report.verdict == "pass", report
