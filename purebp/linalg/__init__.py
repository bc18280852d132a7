"""Linear algebra: factorisations, solves, determinants, functions of matrices, products."""

from purebp.linalg import cholesky as _cholesky
from purebp.linalg import determinant as _determinant
from purebp.linalg import solve as _solve
from purebp.linalg.cholesky import cholesky
from purebp.linalg.determinant import det, slogdet
from purebp.linalg.solve import inv, solve, triangular_solve

OPS = (*_cholesky.OPS, *_solve.OPS, *_determinant.OPS)

__all__ = [
    "OPS",
    "cholesky",
    "det",
    "inv",
    "slogdet",
    "solve",
    "triangular_solve",
]
