"""The running state is not differentiated, in the first derivative nor in the second."""

import jax
import jax.numpy as jnp
import numpy as np

from purebp.models import n_layer_net


def test_the_state_has_no_derivative_of_either_order():
    model = n_layer_net(3, (4,), 2, norm="batch")
    params, state = model.init(jax.random.key(0)), model.init_state()
    x = jax.random.normal(jax.random.key(1), (5, 3))

    def loss(params, state):
        return jnp.sum(model(params, x, state)[0] ** 2)

    def slope(params, state):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss)(params, state)))

    assert float(slope(params, state)) > 0
    for derivative in (jax.grad(loss, argnums=1), jax.grad(slope, argnums=1)):
        for leaf in jax.tree.leaves(derivative(params, state)):
            np.testing.assert_array_equal(leaf, 0)
