"""The VAE against the same network in plain JAX, and an ELBO that improves on the digits."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from purebp.compat import enable_x64, jit_once
from purebp.errors import ArgumentError, OptionError, ShapeError
from purebp.models import vae
from purebp.training import load_digits
from tests.models.plain import affine, relu, worst_difference

MODELS = {
    "bernoulli": vae(6, 5, 2, beta=0.5),
    "gaussian": vae(6, 5, 2, pixels="gaussian", var=0.3),
}


def plain_vae(params, x, key, pixels):
    h = relu(affine(x, params["encode1"]))
    mean, log_var = affine(h, params["mean"]), affine(h, params["log_var"])
    noise = jax.random.normal(key, mean.shape, jnp.float32)
    z = mean + jnp.exp(log_var / 2) * noise
    y = affine(relu(affine(z, params["decode1"])), params["decode2"])
    kl = -0.5 * jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var), axis=-1)
    if pixels == "bernoulli":
        each = jnp.sum(optax.sigmoid_binary_cross_entropy(y, x), axis=-1) + 0.5 * kl
    else:
        each = jnp.sum((x - y) ** 2 / 0.3 + np.log(0.3), axis=-1) / 2 + kl
    return jnp.mean(each)


@pytest.mark.parametrize(
    ("pixels", "dtype", "allowed"),
    [
        ("bernoulli", "float32", 2e-5),
        ("bernoulli", "float64", 1e-12),
        ("gaussian", "float64", 1e-12),
    ],
)
def test_loss_and_gradients_equal_those_of_the_plain_net(pixels, dtype, allowed):
    model = MODELS[pixels]
    assert model.example is not None
    params, x, _, key = model.example(np.random.default_rng(1))
    with enable_x64(dtype == "float64"):
        params, x = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), (params, x))

        @jit_once
        def both(params, x):
            (loss, _), res = model.fwd(params, x, None, key)
            plain = jax.value_and_grad(plain_vae, (0, 1))(params, x, key, pixels)
            return (loss, model.bwd(res, 1.0)[:2]), plain

        (loss, bars), (wanted, gradients) = both(params, x)
        assert {leaf.dtype for leaf in jax.tree.leaves(bars)} == {jnp.dtype(dtype)}
        np.testing.assert_allclose(loss, wanted, rtol=allowed)
        assert worst_difference(bars, gradients) < allowed


def test_the_loss_is_its_two_terms():
    model = MODELS["bernoulli"]
    assert model.example is not None
    params, x, _, key = model.example(np.random.default_rng(2))
    loss, aux = jit_once(lambda: model.fwd(params, x, None, key)[0])()
    assert loss == pytest.approx(aux.reconstruction + 0.5 * aux.divergence)
    mean, log_var = model.encode(params, x)
    assert mean.shape == log_var.shape == (3, 2)
    kl = -0.5 * jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var), axis=-1)
    assert float(jnp.mean(kl)) == pytest.approx(float(aux.divergence), rel=1e-4)
    assert model.decode(params, jnp.zeros((3, 2))).shape == (3, 6) == (3, *aux.y.shape[1:])


def test_the_elbo_of_the_digits_improves():
    x = jnp.asarray(load_digits(flat=True).x_train)
    model, optimizer = vae(64, 64, 8), optax.adam(3e-3)
    params = model.init(jax.random.key(0))

    @jax.jit
    def step(carry, number):
        params, state = carry
        index_key, key = jax.random.split(jax.random.fold_in(jax.random.key(1), number))
        index = jax.random.randint(index_key, (64,), 0, len(x))
        (loss, _), res = model.fwd(params, x[index], None, key)
        updates, state = optimizer.update(model.bwd(res, 1.0)[0], state, params)
        return (optax.apply_updates(params, updates), state), loss

    _, losses = jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(400))
    assert losses[:5].mean() > 40
    assert losses[-20:].mean() < 26


def test_wrong_input_is_refused():
    model = MODELS["gaussian"]
    params = model.init(jax.random.key(0))
    with pytest.raises(ArgumentError, match="key is None, expected a PRNG key"):
        model(params, jnp.ones((2, 6)))
    with pytest.raises(ShapeError, match=r"x has shape \(2, 5\), expected \(n, 6\)"):
        model(params, jnp.ones((2, 5)), None, jax.random.key(0))
    with pytest.raises(OptionError, match="pixels is 'colour', expected 'bernoulli'"):
        vae(6, pixels="colour")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"beta is 0\.0, expected a number above 0"):
        vae(6, beta=0.0)
