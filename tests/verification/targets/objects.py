"""Layers as objects with methods forward and backward, in the styles that people write them."""

import numpy as np

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 4))


class Linear:
    """Gradients beside the arrays."""

    def __init__(self, inputs, outputs):
        self.W = RNG.standard_normal((inputs, outputs))
        self.b = RNG.standard_normal(outputs)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class Averaged(Linear):
    """Wrong: the gradient of b is a mean."""

    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout.mean(axis=0)
        return dx


class Listed:
    """Gradients in a list, added to."""

    def __init__(self):
        self.params = [RNG.standard_normal((4, 3)), RNG.standard_normal(3)]
        self.grads = [np.zeros((4, 3)), np.zeros(3)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[0] += self.x.T @ dout
        self.grads[1] += dout.sum(axis=0)
        return dout @ self.params[0].T


class Named:
    """Gradients in a dictionary."""

    def __init__(self):
        self.params = {"W": RNG.standard_normal((4, 3)), "b": RNG.standard_normal(3)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads = {"dW": self.x.T @ dout, "db": dout.sum(axis=0)}
        return dout @ self.params["W"].T


class Parameter:
    """An array and its gradient."""

    def __init__(self, data):
        self.data, self.grad = data, None


class OfParameters:
    """Gradients inside of parameters."""

    def __init__(self):
        self.weight = Parameter(RNG.standard_normal((4, 3)))

    def forward(self, x):
        self.x = x
        return x @ self.weight.data

    def backward(self, dout):
        self.weight.grad = self.x.T @ dout
        return dout @ self.weight.data.T


class Learning:
    """The backward pass takes a learning rate, and changes the weights."""

    def __init__(self):
        self.weights = RNG.standard_normal((4, 3))
        self.bias = RNG.standard_normal((1, 3))

    def forward_propagation(self, x):
        self.x = x
        return x @ self.weights + self.bias

    def backward_propagation(self, output_error, learning_rate):
        error = output_error @ self.weights.T
        self.weights -= learning_rate * (self.x.T @ output_error)
        self.bias -= learning_rate * output_error.sum(axis=0, keepdims=True)
        return error


class LearningBackwards(Learning):
    """Wrong: the weights are changed before they are used."""

    def backward_propagation(self, output_error, learning_rate):
        self.weights -= learning_rate * (self.x.T @ output_error)
        self.bias -= learning_rate * output_error.sum(axis=0, keepdims=True)
        return output_error @ self.weights.T


class MeanSquared:
    """A loss: its backward takes nothing, and has no gradient of the targets."""

    def forward(self, y, target):
        self.gap = y - target
        return np.mean(self.gap**2)

    def backward(self):
        return 2 * self.gap / self.gap.size


class Summed(MeanSquared):
    """Wrong: the mean is forgotten."""

    def backward(self):
        return 2 * self.gap


class Dropout:
    """Random numbers of NumPy, and an option."""

    def __init__(self):
        self.p, self.training = 0.5, True

    def forward(self, x):
        self.mask = (np.random.rand(*x.shape) >= self.p) / (1 - self.p)  # noqa: NPY002
        return x * self.mask if self.training else x

    def backward(self, dout):
        return dout * self.mask if self.training else dout


class AlwaysDropped(Dropout):
    """Wrong where the option has its other value."""

    def backward(self, dout):
        return dout * self.mask


class Scaled:
    """An array without a gradient."""

    def __init__(self):
        self.scale = np.full(4, 2.0)

    def forward(self, x):
        return x * self.scale

    def backward(self, dout):
        return dout * self.scale


class Broken:
    """Its forward does not run."""

    def forward(self, x):
        raise ZeroDivisionError(f"no luck with {x.shape}")

    def backward(self, dout):
        return dout


class TooMany(Scaled):
    """Two gradients for one input."""

    def backward(self, dout):
        return dout, dout


class NoUpstream:
    """No loss, and takes no upstream gradient."""

    def __init__(self):
        self.scale = np.full(4, 2.0)

    def forward(self, x):
        return x * self.scale

    def backward(self):
        return self.scale


class Doubled(OfParameters):
    """Wrong: a factor of 2 in a gradient that lies in a parameter."""

    def backward(self, dout):
        dx = super().backward(dout)
        self.weight.grad *= 2
        return dx


averaged, summed = Averaged(4, 3), Summed()
learning_backwards, doubled = LearningBackwards(), Doubled()
