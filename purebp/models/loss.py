"""with_loss: a model and a loss as one op of (params, x, targets)."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from purebp.errors import ArgumentError, OptionError
from purebp.losses import l2, svm
from purebp.models.dense import two_layer_net
from purebp.models.layer import Tree
from purebp.models.model import Model
from purebp.op import Op
from purebp.residuals import Residuals

Path = tuple[str, str]


class LossAux(NamedTuple):
    """What a loss gives besides its value: the new running statistics and the scores.

    Example:
        >>> from purebp.losses import softmax_cross_entropy
        >>> from purebp.models import linear_classifier
        >>> model = linear_classifier(4, 3)
        >>> op = with_loss(model, softmax_cross_entropy)
        >>> params, x = model.init(jax.random.key(0)), jnp.ones((2, 4))
        >>> loss, aux = op(params, x, jnp.array([0, 2]))
        >>> aux.scores.shape
        (2, 3)
    """

    state: Any
    scores: Any


def with_loss(model: Model, loss: Op, *, regularizer: Op | None = None, name: str = "") -> Op:
    """loss(model(params, x), targets) + sum over the weights of regularizer(w).

    Maths: L = data(y, t) + sum_l R(w_l), y = model(params, x). Backward: y_bar = data.bwd,
        (params_bar, x_bar) = model.bwd, and R.bwd adds to the gradient of each weight.
    Shapes: x and y of the model, targets of the loss; L is a scalar.
    Residuals: those of the model, the loss and the regulariser.
    Kinks: those of the model, the loss and the regulariser.
    Raises: those of the model and the loss; OptionError for a loss that is not a scalar.
    Source: CS231n, lecture 3, data loss plus regularisation loss.

    The regulariser, for example `l2.with_options(strength=1e-4)`, takes each `w` of the params;
    biases, scales and shifts are left alone.

    fwd: (params, x, targets, state=None, key=None, *, train=False)
        -> ((loss, LossAux(state, scores)), res)
    bwd: (res, loss_bar) -> (params_bar, x_bar, targets_bar, None, None)

    Example:
        >>> from purebp.losses import softmax_cross_entropy
        >>> from purebp.models import linear_classifier
        >>> model = linear_classifier(4, 3)
        >>> op = with_loss(model, softmax_cross_entropy)
        >>> params, x = model.init(jax.random.key(0)), jnp.ones((2, 4))
        >>> (loss, aux), res = op.fwd(params, x, jnp.array([0, 2]))
        >>> params_bar = op.bwd(res, 1.0)[0]
        >>> jax.tree.map(jnp.shape, params_bar)
        {'affine1': {'b': (3,), 'w': (4, 3)}}
    """
    if not isinstance(model, Model):
        raise ArgumentError(
            f"with_loss: model is a {type(model).__name__}, expected a purebp Model"
        )
    name = name or f"{model.name}_with_{loss.name}"
    paths = weight_paths(model) if regularizer is not None else ()

    def definition(
        params: Any,
        x: Any,
        targets: Any,
        state: Any = None,
        key: Any = None,
        *,
        train: bool = False,
    ) -> tuple[Any, LossAux]:
        y, new_state = model.define(params, x, state, key, train=train)
        total = loss.define(y, targets)
        if regularizer is not None:
            for layer, weight in paths:
                total = total + regularizer.define(params[layer][weight])
        return total, LossAux(new_state, y)

    def forward(
        params: Any, x: Any, targets: Any, state: Any, key: Any, *, train: bool
    ) -> tuple[tuple[Any, LossAux], Any]:
        (y, new_state), model_res = model.fwd(params, x, state, key, train=train)
        total, loss_res = loss.fwd(y, targets)
        if total.shape:
            raise OptionError(
                f"{name}: the loss has shape {total.shape}, expected a scalar; "
                f"use {loss.name}.with_options(reduction='mean')"
            )
        terms = list[Any]()
        if regularizer is not None:
            for layer, weight in paths:
                term, res = regularizer.fwd(params[layer][weight])
                total = total + term
                terms.append(res)
        return (total, LossAux(new_state, y)), (model_res, loss_res, tuple(terms))

    def backward(res: Any, loss_bar: Array) -> tuple[Any, ...]:
        model_res, loss_res, terms = res
        y_bar, targets_bar = _bwd(loss, loss_res, loss_bar)
        params_bar, x_bar, *rest = model.bwd(model_res, y_bar)
        if regularizer is not None:
            bars = [_bwd(regularizer, term, loss_bar)[0] for term in terms]
            params_bar = _add(params_bar, paths, bars)
        return params_bar, x_bar, targets_bar, *rest

    op = Op(
        forward,
        backward,
        definition,
        options=model.options,
        domains=model.domains,
        tolerance=model.tolerance,
        has_aux=True,
        example=partial(_example, model),
        name=name,
        composed=True,
    )
    object.__setattr__(op, "__doc__", with_loss.__doc__)
    return op


def weight_paths(model: Model) -> tuple[Path, ...]:
    """(layer, "w") of every weight matrix and kernel: what is regularised."""
    return tuple((layer.name, "w") for layer in model.layers if "w" in layer.params)


def _bwd(op: Op, res: Residuals, loss_bar: Array) -> tuple[Any, ...]:
    (spec,) = res.output[1]
    return op.bwd(res, loss_bar.astype(spec.dtype))


def _add(params_bar: Tree, paths: Sequence[Path], bars: Sequence[Array]) -> Tree:
    summed = {layer: dict(each) for layer, each in params_bar.items()}
    for (layer, weight), bar in zip(paths, bars, strict=True):
        summed[layer][weight] = summed[layer][weight] + bar
    return summed


def _example(model: Model, rng: np.random.Generator) -> tuple[Any, ...]:
    assert model.example is not None
    params, x, state, key = model.example(rng)
    (y, _), _ = jax.eval_shape(partial(model.fwd, train=False), params, x, state, key)
    labels = jnp.asarray(rng.integers(y.shape[-1], size=y.shape[:-1]), jnp.int32)
    return params, x, labels, state, key


OPS = (with_loss(two_layer_net(5, 7, 3), svm, regularizer=l2.with_options(strength=0.1)),)
