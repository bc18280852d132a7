"""Linear algebra: factorisations, solves, determinants, functions of matrices, products."""

from purebp.linalg import cholesky as _cholesky
from purebp.linalg import determinant as _determinant
from purebp.linalg import eigen as _eigen
from purebp.linalg import eigen_general as _eigen_general
from purebp.linalg import entries as _entries
from purebp.linalg import expm as _expm
from purebp.linalg import functions as _functions
from purebp.linalg import householder as _householder
from purebp.linalg import least_squares as _least_squares
from purebp.linalg import lu as _lu
from purebp.linalg import power as _power
from purebp.linalg import products as _products
from purebp.linalg import qr as _qr
from purebp.linalg import solve as _solve
from purebp.linalg import svd as _svd
from purebp.linalg import tridiagonal as _tridiagonal
from purebp.linalg.cholesky import cholesky
from purebp.linalg.determinant import det, slogdet
from purebp.linalg.eigen import eigh, eigvalsh
from purebp.linalg.eigen_general import eig
from purebp.linalg.entries import diag, diagonal, trace, tril, triu
from purebp.linalg.expm import expm
from purebp.linalg.functions import hermitian_function
from purebp.linalg.householder import householder_product
from purebp.linalg.least_squares import lstsq, pinv
from purebp.linalg.lu import lu
from purebp.linalg.power import matrix_power
from purebp.linalg.products import einsum, kron, outer
from purebp.linalg.qr import qr
from purebp.linalg.solve import inv, solve, triangular_solve
from purebp.linalg.svd import svd, svdvals
from purebp.linalg.tridiagonal import tridiagonal_solve

OPS = (
    *_cholesky.OPS,
    *_lu.OPS,
    *_qr.OPS,
    *_eigen.OPS,
    *_eigen_general.OPS,
    *_svd.OPS,
    *_solve.OPS,
    *_determinant.OPS,
    *_least_squares.OPS,
    *_functions.OPS,
    *_expm.OPS,
    *_power.OPS,
    *_products.OPS,
    *_entries.OPS,
    *_tridiagonal.OPS,
    *_householder.OPS,
)

__all__ = [
    "OPS",
    "cholesky",
    "det",
    "diag",
    "diagonal",
    "eig",
    "eigh",
    "eigvalsh",
    "einsum",
    "expm",
    "hermitian_function",
    "householder_product",
    "inv",
    "kron",
    "lstsq",
    "lu",
    "matrix_power",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "trace",
    "triangular_solve",
    "tridiagonal_solve",
    "tril",
    "triu",
]
