"""einsum with any operands and any subscripts; diagonals and triangles beyond the matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import ArgumentError, DtypeError, OptionError, ShapeError
from purebp.compat import enable_x64, jit_once
from purebp.linalg import diag, diagonal, einsum, kron, trace, tril, triu

RNG = np.random.default_rng(0)
EXAMPLES = [
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("i,i,i->", (3,), (3,), (3,)),
    ("ij->ji", (2, 3)),
    ("ii->i", (3, 3)),
    ("iij->", (3, 3, 2)),
    ("...ij,...jk", (2, 2, 3), (3, 2)),
    ("b...,b...k", (2, 3, 1), (2, 1, 4, 5)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ij,kl", (2, 3), (1, 2)),
    (" i j , j -> i ", (2, 3), (3,)),
    (",i->i", (), (3,)),
    ("ij,jk->ik", (2, 0), (0, 3)),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_sums_of_products(example) -> None:
    subscripts, *shapes = example
    operands = [RNG.normal(size=shape) for shape in shapes]
    with enable_x64(True):
        y, res = einsum.fwd(*operands, subscripts=subscripts)
        y_bar = jnp.asarray(RNG.normal(size=y.shape))
        expected, pull = jax.vjp(lambda *x: jnp.einsum(subscripts, *x), *map(jnp.asarray, operands))
        bars = jit_once(einsum.bwd)(res, y_bar)
        np.testing.assert_allclose(y, expected, rtol=1e-12)
        for came, right in zip(bars, pull(y_bar), strict=True):
            np.testing.assert_allclose(came, right, rtol=1e-12, atol=1e-14)


def test_an_axis_of_one_entry_stands_for_many() -> None:
    x, y = jnp.ones((1, 3)), jnp.arange(6.0).reshape(2, 3)
    z, res = einsum.fwd(x, y, subscripts="ij,ij->i")
    np.testing.assert_array_equal(einsum.bwd(res, jnp.ones_like(z))[0], [[3, 5, 7]])


def test_each_operand_keeps_its_dtype() -> None:
    x, y = jnp.ones((2, 3), jnp.bfloat16), jnp.ones((3, 2))
    z, res = einsum.fwd(x, y)
    assert z.dtype == jnp.float32
    assert [bar.dtype for bar in einsum.bwd(res, z)] == [jnp.bfloat16, jnp.float32]


@pytest.mark.parametrize(
    ("error", "message", "subscripts", "operands"),
    [
        (OptionError, "has 1 terms, expected 2", "ij", [np.ones((2, 2))] * 2),
        (OptionError, "expected letters", "i1,j", [np.ones((2, 2))] * 2),
        (OptionError, "expected letters", 3, [np.ones((2, 2))]),
        (OptionError, "names an axis twice", "ij->ii", [np.ones((2, 2))]),
        (OptionError, "or one that no operand has", "ij->k", [np.ones((2, 2))]),
        (ShapeError, r"operand 1 has shape \(3,\), expected 2 in place of 3 for 'j'", "ij,j", None),
        (ShapeError, "expected rank 1 from the term 'i'", "i", [np.ones((2, 2))]),
        (ShapeError, "expected rank at least 3 from", "ijk...", [np.ones((2, 2))]),
        (DtypeError, "operand 0 is of dtype int32", "i", [np.ones(2, np.int32)]),
        (DtypeError, "operand 0 is a list of 2, expected an array", "i", [[1.0, 2.0]]),
        (ArgumentError, "there are no operands", "", []),
    ],
)
def test_what_does_not_fit_is_refused(error, message, subscripts, operands) -> None:
    operands = [np.ones((2, 2)), np.ones(3)] if operands is None else operands
    with pytest.raises(error, match=message):
        einsum(
            *(x if isinstance(x, list) else jnp.asarray(x) for x in operands), subscripts=subscripts
        )


@pytest.mark.parametrize("offset", [0, 2, -2, 7, -7])
def test_diagonals_within_and_beyond_the_matrix(offset) -> None:
    x = jnp.asarray(RNG.normal(size=(2, 3, 5)), jnp.float32)
    for op, plain in ((trace, jnp.trace), (diagonal, jnp.diagonal)):
        y, res = op.fwd(x, offset=offset)
        expected, pull = jax.vjp(lambda x, f=plain: f(x, offset, axis1=-2, axis2=-1), x)
        np.testing.assert_allclose(y, expected, rtol=1e-6)
        np.testing.assert_array_equal(op.bwd(res, expected)[0], pull(expected)[0])
    np.testing.assert_array_equal(tril(x, offset=offset), np.tril(x, offset))
    np.testing.assert_array_equal(triu(x, offset=offset), np.triu(x, offset))


def test_a_diagonal_holds_nan_at_its_place_only() -> None:
    y = np.asarray(diag(jnp.array([1.0, jnp.nan]), offset=1))
    assert np.isnan(y).sum() == 1
    assert diag(jnp.zeros((2, 0))).shape == (2, 0, 0)
    with pytest.raises(OptionError, match="trace: offset is 'a', expected an integer"):
        trace(jnp.eye(2), offset="a")


def test_the_kronecker_product_of_two_matrices_is_that_of_numpy() -> None:
    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 1))
    np.testing.assert_allclose(kron(jnp.float32(a), jnp.float32(b)), np.kron(a, b), rtol=1e-5)
