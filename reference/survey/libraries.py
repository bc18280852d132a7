"""Functions of the libraries on top of JAX: optax, flax, equinox, numpyro. Only those installed."""

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reference.survey.case import Case
from reference.survey.numbers import IMAGES, RNG, SPD, A, V, W, X, Y

LABELS = np.asarray([0, 2, 1])
ONE_HOT = np.eye(4)[LABELS]
TEXT = RNG.standard_normal((2, 5, 4))
PLANES = RNG.standard_normal((2, 6, 6))
SIGNS = np.sign(Y)

OPTAX: dict[str, tuple[Any, ...]] = {
    "squared_error": (X, Y),
    "l2_loss": (X, Y),
    "huber_loss": (X, Y),
    "log_cosh": (X, Y),
    "cosine_similarity": (X, Y),
    "cosine_distance": (X, Y),
    "sigmoid_binary_cross_entropy": (X, V),
    "sigmoid_focal_loss": (X, V),
    "softmax_cross_entropy": (X, ONE_HOT),
    "softmax_cross_entropy_with_integer_labels": (X, LABELS),
    "safe_softmax_cross_entropy": (X, ONE_HOT),
    "multiclass_hinge_loss": (X, LABELS),
    "multiclass_perceptron_loss": (X, LABELS),
    "multiclass_logistic_loss": (X, LABELS),
    "multiclass_sparsemax_loss": (X, LABELS),
    "hinge_loss": (X, SIGNS),
    "perceptron_loss": (X, SIGNS),
    "sparsemax_loss": (X, (Y > 0) * 1),
    "poly_loss_cross_entropy": (X, ONE_HOT),
    "kl_divergence": (np.log(V / 5), W / W.sum(1, keepdims=True)),
    "kl_divergence_with_log_targets": (np.log(V / 5), np.log(W / 5)),
    "convex_kl_divergence": (np.log(V / 5), W / W.sum(1, keepdims=True)),
    "ntxent": (X, LABELS),
    "triplet_margin_loss": (X, Y, V),
    "ranking_softmax_loss": (X, V),
    "smooth_labels": (V, 0.1),
    "dice_loss": (X, (Y > 0) * 1.0),
    "fenchel_young_loss": (X, V),
    "unhinged_loss": (X, SIGNS),
    "generalized_kl_divergence": (V, W),
}
LINEN: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "Dense": (lambda nn: nn.Dense(3), X),
    "DenseGeneral": (lambda nn: nn.DenseGeneral((2, 3), axis=(-2, -1)), TEXT),
    "Einsum": (lambda nn: nn.Einsum((4, 3), "bti,io->bto"), TEXT),
    "Conv": (lambda nn: nn.Conv(4, (3, 3), strides=2), IMAGES),
    "Conv in groups": (lambda nn: nn.Conv(6, (3, 3), feature_group_count=3), IMAGES),
    "ConvTranspose": (lambda nn: nn.ConvTranspose(4, (3, 3), strides=(2, 2)), IMAGES),
    "ConvLocal": (lambda nn: nn.ConvLocal(4, (3, 3)), IMAGES),
    "LayerNorm": (lambda nn: nn.LayerNorm(), TEXT),
    "RMSNorm": (lambda nn: nn.RMSNorm(), TEXT),
    "GroupNorm": (lambda nn: nn.GroupNorm(num_groups=3), IMAGES),
    "InstanceNorm": (lambda nn: nn.InstanceNorm(), IMAGES),
    "BatchNorm": (lambda nn: nn.BatchNorm(use_running_average=True), IMAGES),
    "WeightNorm": (lambda nn: nn.WeightNorm(nn.Dense(3)), X),
    "Dropout": (lambda nn: nn.Dropout(0.5, deterministic=True), X),
    "PReLU": (lambda nn: nn.PReLU(), X),
    "MultiHeadDotProductAttention": (lambda nn: nn.MultiHeadDotProductAttention(2), TEXT),
    "RNN of LSTMCell": (lambda nn: nn.RNN(nn.LSTMCell(3)), TEXT),
    "RNN of OptimizedLSTMCell": (lambda nn: nn.RNN(nn.OptimizedLSTMCell(3)), TEXT),
    "RNN of GRUCell": (lambda nn: nn.RNN(nn.GRUCell(3)), TEXT),
    "RNN of MGUCell": (lambda nn: nn.RNN(nn.MGUCell(3)), TEXT),
    "RNN of SimpleCell": (lambda nn: nn.RNN(nn.SimpleCell(3)), TEXT),
    "Bidirectional": (
        lambda nn: nn.Bidirectional(nn.RNN(nn.LSTMCell(3)), nn.RNN(nn.LSTMCell(3))),
        TEXT,
    ),
    "Sequential": (lambda nn: nn.Sequential([nn.Dense(5), nn.gelu, nn.Dense(2)]), X),
    "remat": (lambda nn: nn.remat(nn.Dense)(3), X),
}
EQUINOX: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "Linear": (lambda nn, key: nn.Linear(4, 3, key=key), X[0]),
    "MLP": (lambda nn, key: nn.MLP(4, 2, 5, 2, key=key), X[0]),
    "Conv2d": (
        lambda nn, key: nn.Conv2d(2, 4, 3, padding=1, key=key),
        PLANES,
    ),
    "ConvTranspose2d": (
        lambda nn, key: nn.ConvTranspose2d(2, 3, 3, key=key),
        PLANES,
    ),
    "LayerNorm": (lambda nn, _: nn.LayerNorm(4), X[0]),
    "RMSNorm": (lambda nn, _: nn.RMSNorm(4), X[0]),
    "GroupNorm": (lambda nn, _: nn.GroupNorm(2, 4), X.T),
    "GRUCell": (lambda nn, key: _Cell(nn.GRUCell(4, 4, key=key)), X),
    "LSTMCell": (lambda nn, key: _Cell(nn.LSTMCell(4, 4, key=key)), X),
    "MultiheadAttention": (lambda nn, key: _ToItself(nn.MultiheadAttention(2, 4, key=key)), X),
    "MaxPool2d": (lambda nn, _: nn.MaxPool2d(2, 2), PLANES),
    "AvgPool2d": (lambda nn, _: nn.AvgPool2d(2, 2), PLANES),
    "AdaptiveAvgPool2d": (lambda nn, _: nn.AdaptiveAvgPool2d(2), PLANES),
    "PReLU": (lambda nn, _: nn.PReLU(), X[0]),
    "RotaryPositionalEmbedding": (lambda nn, _: nn.RotaryPositionalEmbedding(4), X),
}
NUMPYRO: dict[str, tuple[tuple[Any, ...], Any]] = {
    "AsymmetricLaplace": ((X, 1 + V, 1 + W), Y),
    "Beta": ((1 + V, 1 + W), V),
    "BetaProportion": ((V, 1 + W), W),
    "Binomial": ((5, V), (Y > 0) * 2),
    "Cauchy": ((X, 1 + V), Y),
    "Chi2": ((1 + V,), W),
    "Dirichlet": ((1 + V,), V / V.sum(1, keepdims=True)),
    "Exponential": ((1 + V,), W),
    "Gamma": ((1 + V, 1 + W), V),
    "Gompertz": ((1 + V, 1 + W), V),
    "Gumbel": ((X, 1 + V), Y),
    "HalfCauchy": ((1 + V,), W),
    "HalfNormal": ((1 + V,), W),
    "InverseGamma": ((1 + V, 1 + W), V),
    "Kumaraswamy": ((1 + V, 1 + W), V),
    "Laplace": ((X, 1 + V), Y),
    "LKJCholesky": ((3, 1.5), np.linalg.cholesky(np.eye(3) + 0.0)),
    "LogNormal": ((X, 1 + V), W),
    "Logistic": ((X, 1 + V), Y),
    "MultivariateNormal": ((A[0], SPD), Y),
    "MultivariateStudentT": ((3.0, A[0], np.linalg.cholesky(SPD)), Y),
    "LowRankMultivariateNormal": ((A[0], A[:, :2], 1 + V[0]), Y),
    "NegativeBinomial2": ((1 + V, 1 + W), (Y > 0) * 2),
    "Normal": ((X, 1 + V), Y),
    "Pareto": ((1 + V, 1 + W), 3 + V),
    "Poisson": ((1 + V,), (Y > 0) * 2),
    "SoftLaplace": ((X, 1 + V), Y),
    "StudentT": ((3 + V, X, 1 + W), Y),
    "TruncatedCauchy": ((X, 1 + V), Y),
    "TruncatedNormal": ((X, 1 + V), Y),
    "VonMises": ((X, 1 + V), Y),
    "Weibull": ((1 + V, 1 + W), V),
    "Wishart": ((6.0, SPD), SPD),
    "ZeroInflatedPoisson": ((V, 1 + W), (Y > 0) * 2),
    "GaussianRandomWalk": ((1.5, 4), X),
    "CAR": ((X[0, :3], 0.4, 1.5, np.ones((3, 3)) - np.eye(3)), Y[0, :3]),
}


class _Cell:
    """A recurrent cell of equinox along a sequence."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell


class _ToItself:
    """Attention of a sequence to itself."""

    def __init__(self, attention: Any) -> None:
        self.attention = attention


def cases() -> Iterator[Case]:
    """Of every library that is installed."""
    for library, made in (
        ("optax", of_optax),
        ("flax", of_linen),
        ("equinox", of_equinox),
        ("numpyro", of_numpyro),
    ):
        if find_spec(library) is not None:
            yield from made()


def of_optax() -> Iterator[Case]:
    """Losses."""
    losses = import_module("optax.losses")
    for name, args in OPTAX.items():
        if hasattr(losses, name):
            yield Case(f"optax.{name}", getattr(losses, name), args)
    logits, paddings = RNG.standard_normal((2, 6, 4)), np.zeros((2, 6))
    labels, label_paddings = (
        np.asarray([[1, 2, 0], [3, 1, 2]]),
        np.asarray([[0.0, 0, 1], [0, 0, 0]]),
    )

    def ctc(x: Any) -> Any:
        return losses.ctc_loss(x, paddings, labels, label_paddings)

    yield Case("optax.ctc_loss", ctc, (logits,))


def of_linen() -> Iterator[Case]:
    """Modules of flax.linen, in their parameters and inputs; some of flax.nnx."""
    nn, nnx = import_module("flax.linen"), import_module("flax.nnx")
    for name, (make, x) in LINEN.items():
        module = make(nn)
        params = module.init(jax.random.key(0), jnp.asarray(x, jnp.float32))
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        yield Case(f"linen.{name}", module.apply, (wide, x))
    rngs = nnx.Rngs(0)
    for name, module, x in (
        ("Linear", nnx.Linear(4, 3, rngs=rngs), X),
        ("Conv", nnx.Conv(3, 4, (3, 3), rngs=rngs), IMAGES),
        ("LayerNorm", nnx.LayerNorm(4, rngs=rngs), X),
        ("BatchNorm", nnx.BatchNorm(4, use_running_average=True, rngs=rngs), X),
        ("MultiHeadAttention", nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs), TEXT),
        ("RNN of LSTMCell", nnx.RNN(nnx.LSTMCell(4, 3, rngs=rngs)), TEXT),
    ):
        graph, state = nnx.split(module)

        def apply(state: Any, x: Any, graph: Any = graph) -> Any:
            return nnx.merge(graph, state)(x)

        wide = jax.tree.map(_widened, nnx.to_pure_dict(state))

        def of_dict(given: Any, x: Any, state: Any = state, apply: Any = apply) -> Any:
            again = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(given))
            return apply(again, x)

        yield Case(f"nnx.{name}", of_dict, (wide, x))


def _widened(leaf: Any) -> Any:
    is_floating = jnp.issubdtype(leaf.dtype, jnp.floating)
    return np.asarray(leaf, np.float64) if is_floating else leaf


def of_equinox() -> Iterator[Case]:
    """Modules, in their parameters and inputs."""
    eqx = import_module("equinox")
    for name, (make, x) in EQUINOX.items():
        made = make(eqx.nn, jax.random.key(0))
        module = getattr(made, "cell", getattr(made, "attention", made))
        arrays, rest = eqx.partition(module, eqx.is_inexact_array)
        leaves, tree = jax.tree.flatten(arrays)

        def apply(given: Any, x: Any, tree: Any = tree, rest: Any = rest, made: Any = made) -> Any:
            module = eqx.combine(jax.tree.unflatten(tree, given), rest)
            if isinstance(made, _ToItself):
                return module(x, x, x)
            return _along(module, x) if isinstance(made, _Cell) else module(x)

        yield Case(f"equinox.{name}", apply, ([np.asarray(p, np.float64) for p in leaves], x))


def _along(cell: Any, x: Any) -> Any:
    is_lstm = type(cell).__name__ == "LSTMCell"
    zeros = jnp.zeros(cell.hidden_size, x.dtype)

    def step(state: Any, row: Any) -> tuple[Any, Any]:
        state = cell(row, state)
        return state, state[0] if is_lstm else state

    return jax.lax.scan(step, (zeros, zeros) if is_lstm else zeros, x)


def of_numpyro() -> Iterator[Case]:
    """Log densities, in their parameters and values; a hierarchical model."""
    distributions = import_module("numpyro.distributions")
    for name, (params, x) in NUMPYRO.items():
        if hasattr(distributions, name):
            made = getattr(distributions, name)

            def density(params: Any, x: Any, made: Any = made) -> Any:
                return made(*params, validate_args=False).log_prob(x)

            yield Case(f"numpyro.{name}", density, (list(params), x))
    yield Case("numpyro.eight_schools", _eight_schools, (RNG.standard_normal(10),))


def _eight_schools(latent: Any) -> Any:
    """The log density of the eight schools, with centred effects."""
    numpyro, d = import_module("numpyro"), import_module("numpyro.distributions")
    effects = jnp.asarray([28.0, 8, -3, 7, -1, 1, 18, 12])
    errors = jnp.asarray([15.0, 10, 16, 11, 9, 11, 10, 18])

    def model() -> None:
        mu = numpyro.sample("mu", d.Normal(0, 5))
        tau = numpyro.sample("tau", d.HalfCauchy(5))
        with numpyro.plate("schools", 8):
            theta = numpyro.sample("theta", d.Normal(mu, tau))
            numpyro.sample("obs", d.Normal(theta, errors), obs=effects)

    values = {"mu": latent[0], "tau": jnp.exp(latent[1]), "theta": latent[2:]}
    return numpyro.infer.util.log_density(model, (), {}, values)[0]
