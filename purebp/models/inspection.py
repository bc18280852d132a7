"""Looking into a model: what every layer gives, dead ReLUs, gradient norms by layer."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from purebp.models.layer import Layers, Tree
from purebp.models.model import Model
from purebp.models.residual import Parts, Residual
from purebp.signature import as_array


def layer_outputs(
    model: Model, params: Any, x: Any, state: Any = None, key: Any = None, *, train: bool = False
) -> dict[str, Array]:
    """The output of every layer, by name, in the order in which they run.

    Example:
        >>> from purebp.models import two_layer_net
        >>> model = two_layer_net(4, 8, 3)
        >>> params, x = model.init(jax.random.key(0)), jnp.ones((2, 4))
        >>> {name: y.shape for name, y in layer_outputs(model, params, x).items()}
        {'affine1': (2, 8), 'relu1': (2, 8), 'affine2': (2, 3)}
    """
    y = as_array(model.name, "x", x)
    model.check_arguments(params, y, state, key, train)
    net = Layers(model.name, model.layers)
    state = net.fresh_state(None) if state is None else state
    outputs = dict[str, Array]()
    extras = zip(model.layers, net.extras(params, state, key, train), strict=True)
    _run(model.parts, y, {layer.name: extra for layer, extra in extras}, train, outputs)
    return outputs


def _run(
    parts: Parts, x: Array, extras: Mapping[str, Any], train: bool, outputs: dict[str, Array]
) -> Array:
    y = x
    for part in parts:
        if isinstance(part, Residual):
            around = _run(part.shortcut, y, extras, train, outputs)
            y = around + _run(part.main, y, extras, train, outputs)
            continue
        op = part.runs(train)
        y, _ = op.fwd(y, *extras[part.name])
        y = y[0] if op.has_aux else y
        outputs[part.name] = y
    return y


def dead_relus(model: Model, params: Any, x: Any, state: Any = None) -> dict[str, Array]:
    """For each ReLU layer the share of its units that are 0 for every example of x.

    A unit is a feature; after a convolution it is a whole filter. No gradient flows through a
    dead unit: nothing that these examples ask for will wake it up.

    Example:
        >>> from purebp.models import two_layer_net
        >>> model = two_layer_net(4, 8, 3)
        >>> params, x = model.init(jax.random.key(0)), jnp.ones((2, 4))
        >>> {name: float(share) for name, share in dead_relus(model, params, x).items()}
        {'relu1': 0.375}
    """
    return dead_shares(model, layer_outputs(model, params, x, state))


def dead_shares(model: Model, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """The shares of `dead_relus` out of what `layer_outputs` gave."""
    return {
        layer.name: _dead_share(outputs[layer.name])
        for layer in model.layers
        if layer.op.name == "relu"
    }


def _dead_share(y: Array) -> Array:
    others = tuple(axis for axis in range(y.ndim) if axis != 1)
    return jnp.mean(jnp.all(y <= 0, axis=others))


def gradient_norms(model: Model, params_bar: Tree) -> dict[str, Array]:
    """The 2-norm of the gradient of each layer that learns, in the order in which they run.

    Example:
        >>> from purebp.models import two_layer_net
        >>> model = two_layer_net(4, 8, 3)
        >>> params, x = model.init(jax.random.key(0)), jnp.ones((2, 4))
        >>> list(gradient_norms(model, params))
        ['affine1', 'affine2']
    """
    return {layer.name: _norm(params_bar[layer.name]) for layer in model.layers if layer.params}


def _norm(bars: dict[str, Array]) -> Array:
    """Scaled by the largest entry first, so that the squares neither overflow nor vanish."""
    flat = jnp.concatenate([bar.ravel() for bar in jax.tree.leaves(bars)])
    largest = jnp.max(jnp.abs(flat))
    scale = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1)
    return scale * jnp.sqrt(jnp.sum(jnp.square(flat / scale)))
