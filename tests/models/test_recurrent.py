"""The character LSTM: against flax with the same weights, its state, and wrong arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from purebp import ArgumentError, DtypeError, ShapeError
from purebp.compat import enable_x64
from purebp.losses import softmax_cross_entropy
from purebp.models import char_lstm, gradient_norms, with_loss
from tests.models.plain import worst_difference

MODEL = char_lstm(7, 3, 4, depth=2)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(7, size=(2, 9)))


class Flax(linen.Module):
    """Embed - LSTM - LSTM - Dense; the first states are zeros."""

    dtype: str

    @linen.compact
    def __call__(self, tokens):
        x = linen.Embed(7, 3, dtype=self.dtype, param_dtype=self.dtype)(tokens)
        for _ in range(2):
            cell = linen.OptimizedLSTMCell(4, dtype=self.dtype, param_dtype=self.dtype)
            x = linen.RNN(cell)(x)
        return linen.Dense(7, dtype=self.dtype, param_dtype=self.dtype)(x)


def to_flax(params):
    """The same weights: flax has the blocks one by one, and its biases beside the state."""
    cells = {}
    for i in range(2):
        layer, cell = params[f"lstm{i + 1}"], {}
        for k, block in enumerate("ifog"):
            columns = slice(4 * k, 4 * k + 4)
            cell[f"i{block}"] = {"kernel": layer["w_x"][:, columns]}
            cell[f"h{block}"] = {"kernel": layer["w_h"][:, columns], "bias": layer["b"][columns]}
        cells[f"OptimizedLSTMCell_{i}"] = cell
    dense = {"kernel": params["affine1"]["w"], "bias": params["affine1"]["b"]}
    table = {"embedding": params["embedding"]["table"]}
    return {"params": {"Embed_0": table, **cells, "Dense_0": dense}}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_equal_those_of_flax(dtype):
    with enable_x64(dtype == "float64"):
        params = MODEL.init(jax.random.key(1), dtype=jnp.dtype(dtype))
        x, labels = TOKENS[:, :-1], TOKENS[:, 1:]
        op = with_loss(MODEL, softmax_cross_entropy)
        (loss, _), res = op.fwd(params, x, labels)
        bars = op.bwd(res, 1.0)[0]

        def theirs(params):
            scores = Flax(dtype).apply(to_flax(params), x)
            return -jnp.mean(jax.nn.log_softmax(scores)[*np.indices(x.shape), labels])

        wanted, slopes = jax.jit(jax.value_and_grad(theirs))(params)
        assert loss.dtype == dtype
        limit = 2e-6 if dtype == "float32" else 1e-13
        assert worst_difference(loss, wanted) < limit
        assert worst_difference(bars, slopes) < 10 * limit
        by_jax = jax.grad(lambda p: op(p, x, labels)[0])(params)
        assert worst_difference(by_jax, bars) < 10 * limit


def test_the_state_goes_on_where_the_piece_before_ended():
    params = MODEL.init(jax.random.key(1))
    whole, last = MODEL(params, TOKENS)
    first, state = MODEL(params, TOKENS[:, :4])
    second, end = MODEL(params, TOKENS[:, 4:], state)
    np.testing.assert_allclose(jnp.concatenate([first, second], axis=1), whole, rtol=1e-5)
    assert worst_difference(end, last) < 1e-5


def test_no_gradient_passes_the_state():
    params = MODEL.init(jax.random.key(1))

    def loss(state):
        return jnp.sum(MODEL(params, TOKENS, state)[0] ** 2)

    _, state = MODEL(params, TOKENS)
    assert not any(np.any(bar) for bar in jax.tree.leaves(jax.grad(loss)(state)))


def test_the_first_weights():
    params = MODEL.init(jax.random.key(1))
    assert params["lstm1"]["b"].tolist() == [0] * 4 + [1] * 4 + [0] * 8
    assert params["lstm2"]["w_x"].shape == (4, 16)
    norms = gradient_norms(MODEL, params)
    assert list(norms) == ["embedding", "lstm1", "lstm2", "affine1"]


def test_wrong_arguments():
    params = MODEL.init(jax.random.key(1))
    with pytest.raises(DtypeError, match="tokens has dtype float32, expected an integer dtype"):
        MODEL(params, jnp.ones((2, 3)))
    with pytest.raises(ArgumentError, match="state is not that of lstm1, lstm2"):
        MODEL(params, TOKENS, {"lstm1": {}})
    with pytest.raises(ArgumentError, match="params has no 'lstm2'"):
        MODEL({name: params[name] for name in ("embedding", "lstm1", "affine1")}, TOKENS)
    _, state = MODEL(params, TOKENS[:1])
    with pytest.raises(ShapeError, match=r"lstm: h0 has shape \(1, 4\), expected \(2, 4\)"):
        MODEL(params, TOKENS, state)
