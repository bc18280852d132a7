"""Products of several indices: outer, Kronecker, and any sum of products (einsum)."""

import re
import string
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from purebp.errors import ArgumentError, DtypeError, OptionError, ShapeError, in_words
from purebp.gate import Gate
from purebp.op import Op
from purebp.residuals import Spec


def outer_definition(
    x: Inexact[Array, "*#s n"], y: Inexact[Array, "*#s k"]
) -> Inexact[Array, "*s n k"]:
    """z_ij = x_i y_j, the outer product over the last axes.

    Maths: x_bar_i = sum_j z_bar_ij y_j, y_bar_j = sum_i z_bar_ij x_i.
    Shapes: x (*s, n), y (*s, k), z (*s, n, k); leading axes broadcast.
    Residuals: x and y.
    Kinks: none.
    Raises: ShapeError if the leading axes do not broadcast, DtypeError for integers.
    Source: product rule.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (3, 3))
        >>> y = jax.random.normal(jax.random.key(1), (3, 5))
        >>> z, res = outer.fwd(x, y)
        >>> [jnp.shape(bar) for bar in outer.bwd(res, z)]
        [(3, 3), (3, 5)]
    """
    return x[..., :, None] * y[..., None, :]


def outer_x_bar(z_bar: Array, y: Array) -> Array:
    return jnp.einsum("...nk,...k->...n", z_bar, y)


def outer_y_bar(z_bar: Array, x: Array) -> Array:
    return jnp.einsum("...nk,...n->...k", z_bar, x)


outer = Gate(outer_definition, outer_x_bar, outer_y_bar)


def kron_definition(
    a: Inexact[Array, "*#batch m n"], b: Inexact[Array, "*#batch p q"]
) -> Inexact[Array, "*batch mp nq"]:
    """The Kronecker product: the matrix of blocks a_ij b.

    Maths: y_(ip)(jq) = a_ij b_pq; a_bar_ij = sum over block ij of y_bar b, b_bar = the sum over
        the blocks of a_ij times the block of y_bar.
    Shapes: a (*batch, m, n), b (*batch, p, q), y (*batch, m p, n q); leading axes broadcast.
    Residuals: a and b.
    Kinks: none.
    Raises: ShapeError if the leading axes do not broadcast, DtypeError for integers.
    Source: product rule.

    Example:
        >>> y, res = kron.fwd(jnp.array([[1.0]]), jnp.array([[0.5, -1.5], [0.3, -2.0]]))
        >>> for bar in kron.bwd(res, y): print(bar)
        [[6.59]]
        [[ 0.5 -1.5]
         [ 0.3 -2. ]]
    """
    y = a[..., :, None, :, None] * b[..., None, :, None, :]
    rows, columns = a.shape[-2] * b.shape[-2], a.shape[-1] * b.shape[-1]
    return y.reshape(*y.shape[:-4], rows, columns)


def kron_a_bar(y_bar: Array, b: Array, a_spec: Spec) -> Array:
    return jnp.einsum("...ipjq,...pq->...ij", _blocks(y_bar, a_spec, b), b)


def kron_b_bar(y_bar: Array, a: Array, b_spec: Spec) -> Array:
    return jnp.einsum("...ipjq,...ij->...pq", _blocks(y_bar, a, b_spec), a)


def _blocks(y_bar: Array, a: Array | Spec, b: Array | Spec) -> Array:
    (m, n), (p, q) = a.shape[-2:], b.shape[-2:]
    return y_bar.reshape(*y_bar.shape[:-2], m, p, n, q)


kron = Gate(kron_definition, kron_a_bar, kron_b_bar, sizes={"p": (2, 1, 2, 3), "q": (1, 3, 2, 1)})


DOTS = "..."


class Terms(NamedTuple):
    """The letters of each operand and of the output, those of ... too; and the size of each."""

    operands: tuple[str, ...]
    output: str
    sizes: dict[str, int]


def einsum_definition(*operands: Any, subscripts: str = "ij,jk->ik") -> Any:
    """A sum of products, in the notation of Einstein: a letter for each axis of each operand.

    Maths: y = the sum, over the letters that the output has not, of the product of one entry of
        each operand. x_bar of an operand is the same kind of sum, of y_bar and the other operands;
        a letter that is only its own is repeated, a diagonal is put back on the diagonal.
    Shapes: as the subscripts say; `...` stands for leading axes, which broadcast.
    Residuals: the operands.
    Kinks: none.
    Raises: OptionError for subscripts that say nothing or fit no operands, ShapeError for operands
        that do not fit them, DtypeError for integers.
    Source: product rule; numpy.einsum.

    Example:
        >>> y, res = einsum.fwd(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]), subscripts="i,i->")
        >>> print(*einsum.bwd(res, 1.0))
        [3. 4.] [1. 2.]
    """
    return jnp.einsum(subscripts, *operands)


def einsum_fwd(*operands: Array, subscripts: str = "ij,jk->ik") -> tuple[Array, tuple[Array, ...]]:
    return jnp.einsum(subscripts, *operands), operands


def einsum_bwd(operands: tuple[Array, ...], y_bar: Array, *, subscripts: str) -> tuple[Array, ...]:
    terms = read_subscripts(subscripts, [operand.shape for operand in operands])
    return tuple(_operand_bar(index, operands, y_bar, terms) for index in range(len(operands)))


def _operand_bar(index: int, operands: tuple[Array, ...], y_bar: Array, terms: Terms) -> Array:
    x = operands[index]
    unused = [letter for letter in string.ascii_letters if letter not in terms.sizes]
    letters, factors = [terms.output], [y_bar]
    for place, operand in enumerate(operands):
        if place != index:
            letters.append(terms.operands[place])
            factors.append(operand)
    wanted = ""
    for letter, size in zip(terms.operands[index], x.shape, strict=True):
        if size != terms.sizes[letter]:
            continue  # broadcast: summed over
        if letter in wanted:  # a diagonal
            other = unused.pop()
            letters.append(letter + other)
            factors.append(jnp.eye(size, dtype=x.dtype))
            wanted += other
            continue
        if letter not in "".join(letters):  # summed over alone
            letters.append(letter)
            factors.append(jnp.ones(size, x.dtype))
        wanted += letter
    x_bar = jnp.einsum(f"{','.join(letters)}->{wanted}", *factors)
    if not jnp.iscomplexobj(x):
        x_bar = jnp.real(x_bar)
    return x_bar.reshape(x.shape).astype(x.dtype)


def read_subscripts(subscripts: str, shapes: list[tuple[int, ...]]) -> Terms:
    """Read "ij,jk->ik" beside the shapes of the operands; raise where they do not fit."""
    parts, output = _split(subscripts)
    if len(parts) != len(shapes):
        raise OptionError(
            f"einsum: subscripts {subscripts!r} has {len(parts)} terms, expected {len(shapes)}, "
            "one for each operand"
        )
    leading = [
        _leading_axes(subscripts, index, part, shape)
        for index, (part, shape) in enumerate(zip(parts, shapes, strict=True))
    ]
    spare = [letter for letter in string.ascii_uppercase if letter not in subscripts]
    stands = "".join(spare[: max(leading)])  # for the axes of ..., which line up at the last
    terms = [
        part.replace(DOTS, stands[len(stands) - count :])
        for part, count in zip(parts, leading, strict=True)
    ]
    if output is None:
        letters = "".join(parts).replace(DOTS, "")
        output = DOTS + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    output = output.replace(DOTS, stands)
    sizes = _sizes_of(subscripts, terms, shapes)
    if len(set(output)) != len(output) or not set(output) <= set(sizes):
        raise OptionError(
            f"einsum: the output of {subscripts!r} names an axis twice, or one that no operand has"
        )
    return Terms(tuple(terms), output, sizes)


def _split(subscripts: object) -> tuple[list[str], str | None]:
    """The terms, and the output, if there is one."""
    text = subscripts.replace(" ", "") if isinstance(subscripts, str) else "?"
    inputs, arrow, output = text.partition("->")
    parts = inputs.split(",")
    if any(re.fullmatch(r"[A-Za-z]*([.]{3})?[A-Za-z]*", word) is None for word in (*parts, output)):
        raise OptionError(
            f"einsum: subscripts is {subscripts!r}, expected letters and ..., as in 'ij,jk->ik'"
        )
    return parts, output if arrow else None


def _leading_axes(subscripts: str, index: int, part: str, shape: tuple[int, ...]) -> int:
    """How many axes the dots of a term stand for."""
    named = len(part.replace(DOTS, ""))
    count = len(shape) - named
    if count < 0 or (count and DOTS not in part):
        least = "at least " if DOTS in part else ""
        raise ShapeError(
            f"einsum: operand {index} has shape {shape}, expected rank {least}{named} from the "
            f"term {part!r} of {subscripts!r}"
        )
    return count


def _sizes_of(subscripts: str, terms: list[str], shapes: list[tuple[int, ...]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for index, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        for letter, size in zip(term, shape, strict=True):
            known = sizes.setdefault(letter, size)
            if size != known and 1 not in (size, known):
                raise ShapeError(
                    f"einsum: operand {index} has shape {shape}, expected {known} in place of "
                    f"{size} for {letter!r} of {subscripts!r}"
                )
            sizes[letter] = size if known == 1 else known
    return sizes


def check_einsum(*operands: Any, subscripts: str) -> None:
    """Raise unless the operands are floating or complex arrays that fit the subscripts."""
    if not operands:
        raise ArgumentError("einsum: there are no operands, expected one for each term")
    for index, operand in enumerate(operands):
        dtype = getattr(operand, "dtype", None)
        if dtype is None or not jnp.issubdtype(dtype, jnp.inexact):
            came = in_words(operand) if dtype is None else f"of dtype {dtype}"
            raise DtypeError(
                f"einsum: operand {index} is {came}, expected an array of floats or complex numbers"
            )
    read_subscripts(subscripts, [tuple(operand.shape) for operand in operands])


def _example(rng: np.random.Generator) -> tuple[Any, ...]:
    return (
        rng.standard_normal((2, 3)).astype(np.float32),
        rng.standard_normal((3, 3)).astype(np.float32),
    )


einsum = Op(
    einsum_fwd,
    einsum_bwd,
    definition=einsum_definition,
    options={"subscripts": ("ij,jk->ik", "ij,jj->", "...j,ij")},
    check=check_einsum,
    example=_example,
)

OPS = (outer, kron, einsum)
