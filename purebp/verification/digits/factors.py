"""Cholesky's factor and triangular systems, column by column."""

from typing import Any

import numpy as np

from purebp.verification.digits.values import MP, NAN, Exact


def apply(name: str, params: dict[str, Any], arrays: list[Any]) -> Any | None:
    """The primitive of a name; None if it is not one of these."""
    if name == "cholesky":
        return _each_matrix(_cholesky, arrays[0])
    if name == "triangular_solve":
        return _triangular_solve(params, *arrays)
    return None


def _each_matrix(function: Any, *stacks: Exact) -> Exact:
    batch = stacks[0].shape[:-2]
    if not all(batch):
        return np.empty(stacks[-1].shape, object)
    out = [function(*(stack[index] for stack in stacks)) for index in np.ndindex(*batch)]
    return np.stack(out).reshape(*batch, *out[0].shape) if batch else out[0]


def _cholesky(a: Exact) -> Exact:
    n = len(a)
    factor = np.full((n, n), MP.mpf(0), object)
    for j in range(n):
        for i in range(j, n):
            rest = a[i, j] - sum((factor[i, k] * factor[j, k] for k in range(j)), MP.mpf(0))
            if i == j:
                factor[j, j] = MP.sqrt(rest) if rest > 0 else NAN
            else:
                factor[i, j] = rest / factor[j, j]
    if any(MP.isnan(factor[j, j]) for j in range(n)):
        factor[np.tril_indices(n)] = NAN
    return factor


def _triangular_solve(params: dict[str, Any], a: Exact, b: Exact) -> Exact:
    """x with op(a) x = b, or x op(a) = b unless `left_side`."""
    lower = params["lower"] != params["transpose_a"]
    if params["transpose_a"]:
        a = np.swapaxes(a, -1, -2)
    if not params["left_side"]:
        a, b, lower = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2), not lower
    unit = params["unit_diagonal"]
    x = _each_matrix(lambda a, b: _substitute(a, b, lower=lower, unit=unit), a, b)
    return x if params["left_side"] else np.swapaxes(x, -1, -2)


def _substitute(a: Exact, b: Exact, *, lower: bool, unit: bool) -> Exact:
    n = len(a)
    x = np.full(b.shape, MP.mpf(0), object)
    order = range(n) if lower else range(n - 1, -1, -1)
    for i in order:
        known = range(i) if lower else range(i + 1, n)
        for column in range(b.shape[1]):
            rest = b[i, column] - sum((a[i, k] * x[k, column] for k in known), MP.mpf(0))
            x[i, column] = rest if unit else NAN if a[i, i] == 0 else rest / a[i, i]
    return x
