"""Embedding: one row of a table for each token."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Integer

from purebp.compat import explicit_sharding
from purebp.errors import ShapeError
from purebp.numerics import widen
from purebp.op import Op, index_below
from purebp.residuals import Spec, spec_of


def embedding_definition(
    tokens: Integer[Array, "*batch"],
    table: Float[Array, "v d"],
) -> Float[Array, "*batch d"]:
    """y = the row of the table that each token names.

    Maths: y_i = table[token_i]; table_bar[v] = sum of y_bar_i over the i with token_i = v: a row
        that several tokens name gets the sum of their gradients, others get 0.
    Shapes: tokens (*batch), table (v, d); y (*batch, d).
    Residuals: the tokens; of the table only its shape and dtype, for y is linear in it.
    Kinks: none.
    Raises: DtypeError for tokens that are not integers, ShapeError for a table without rows.
        Tokens have to be from 0 to v - 1: others, negative ones too, give a row of nan, and no
        gradient.
    Source: derived by hand; CS231n, assignment 3, word_embedding_backward.

    Example:
        >>> tokens = jnp.array([[1, 1], [1, 0], [0, 0]])
        >>> table = jnp.array([[0.5, -1.5, 0.3, -2.0], [1.5, 0.8, -0.2, 0.6]])
        >>> y, res = embedding.fwd(tokens, table)
        >>> for bar in embedding.bwd(res, y): print(bar)
        None
        [[ 1.5        -4.5         0.90000004 -6.        ]
         [ 4.5         2.4        -0.6         1.8000001 ]]
    """
    index = tokens.astype(jnp.int32)[..., None]
    inside = (index >= 0) & (index < table.shape[0])
    return jnp.where(inside, table[jnp.where(inside, index, 0)[..., 0]], jnp.nan)


class EmbeddingResiduals(NamedTuple):
    tokens: Integer[Array, "*batch"]
    table: Spec


def embedding_fwd(tokens: Array, table: Array) -> tuple[Array, EmbeddingResiduals]:
    rows = table.at[_index(tokens, table.shape[0])]
    y = rows.get(mode="fill", fill_value=jnp.nan, out_sharding=_rows_sharding(tokens))
    return y, EmbeddingResiduals(tokens, spec_of(table))


def embedding_bwd(res: EmbeddingResiduals, y_bar: Array) -> tuple[None, Array]:
    tokens, table = res
    wide = widen(y_bar)
    zeros = jnp.zeros(table.shape, wide.dtype)
    rows = zeros.at[_index(tokens, table.shape[0])]
    sums = rows.add(wide, mode="drop", out_sharding=table.sharding)
    return None, sums.astype(table.dtype)


def check_embedding(tokens: Array, table: Array) -> None:
    """Raise for a table without rows."""
    if table.shape[0] == 0:
        raise ShapeError(f"embedding: table has shape {table.shape}, expected at least one row")


def _index(tokens: Array, rows: int) -> Array:
    """The tokens as indices; a negative one is no row either."""
    index = tokens.astype(jnp.int32)
    return jnp.where(index < 0, rows, index)


def _rows_sharding(tokens: Array) -> NamedSharding | None:
    """On a mesh with Explicit axes: the rows are sharded like their tokens."""
    sharding = explicit_sharding(tokens)
    if sharding is None:
        return None
    return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec, None))


embedding = Op(
    embedding_fwd,
    embedding_bwd,
    definition=embedding_definition,
    domains={"tokens": index_below("v")},
    check=check_embedding,
)

OPS = (embedding,)
