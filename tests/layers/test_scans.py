"""Scans: what the pieces change (memory) and what they do not (the numbers)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.benchmark.scans import associative_selective, selective_inputs
from purebp.compat import jit_once
from purebp.errors import OptionError
from purebp.layers import selective_scan


def arrays(*sizes):
    rng = np.random.default_rng(0)
    return tuple(draw(rng) for draw in selective_inputs(*sizes))


def both_passes(y_bar, *args, **options):
    y, res = selective_scan.fwd(*args, **options)
    return y, selective_scan.bwd(res, y_bar)


def test_the_pieces_change_nothing_and_an_associative_scan_agrees():
    args = arrays(2, 7, 3, 2)
    y_bar = jnp.cos(jnp.arange(42.0)).reshape(2, 7, 3)

    @jit_once
    def all_ways(args):
        wanted, pull = jax.vjp(associative_selective, *args)
        pieces = [both_passes(y_bar, *args, block=block) for block in (1, 3, 64)]
        return pieces, (wanted, pull(y_bar))

    pieces, wanted = all_ways(args)
    for came in pieces:
        for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_no_array_of_all_states_is_kept():
    n, t, d, s, block = 1, 512, 8, 16, 32
    shapes = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in arrays(n, t, d, s)]
    run = partial(both_passes, block=block)
    memory = jax.jit(run).lower(shapes[0], *shapes).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 4 * n * t * d * s * 4 / 5
    _, res = jax.eval_shape(partial(selective_scan.fwd, block=block), *shapes)
    assert res.values.starts.shape == (t // block, n, s, d)


def test_an_empty_sequence():
    args = arrays(2, 0, 3, 2)
    y, res = selective_scan.fwd(*args)
    bars = selective_scan.bwd(res, y)
    assert [bar.shape for bar in bars] == [arg.shape for arg in args]
    assert not np.any(bars[2])


def test_a_block_below_1_is_refused():
    with pytest.raises(OptionError, match="block is 0, expected a number of steps"):
        selective_scan(*arrays(1, 2, 1, 1), block=0)
