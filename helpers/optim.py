"""How a gradient becomes a step."""

import numpy as np


class Optimizer:
    """What every optimiser shares: the parameters, the learning rate lr, and forgetting gradients."""

    def __init__(self, params, lr, weight_decay=0):
        self.params = list(params)
        self.lr, self.weight_decay = lr, weight_decay
        if not self.params:
            raise ValueError("params is empty: pass model.parameters(), of a model with at least one layer")
        _check_range("lr", lr, 0, np.inf)
        _check_range("weight_decay", weight_decay, 0, np.inf)

    def zero_grad(self):
        """Forget all gradients, or the next backward would add to them."""
        for parameter in self.params:
            parameter.grad = None

    def step(self):
        """Change every parameter that has a gradient, in place."""
        for position, parameter in enumerate(self.params):
            if parameter.grad is not None:
                self.update(position, parameter.data, parameter.grad)

    def update(self, position, w, g):
        raise NotImplementedError(f"{type(self).__name__} has no update(self, position, w, g)")


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v ← momentum · v + g, w ← w - lr · v.

    weight_decay adds weight_decay · w to g. Robbins & Monro 1951; momentum: Polyak 1964.
    """

    def __init__(self, params, lr, momentum=0, weight_decay=0):
        super().__init__(params, lr, weight_decay)
        _check_range("momentum", momentum, 0, 1)
        self.momentum = momentum
        self.velocity = {}

    def update(self, position, w, g):
        if self.weight_decay:
            g = g + self.weight_decay * w
        if self.momentum:
            v = self.velocity.setdefault(position, np.zeros_like(w))
            v *= self.momentum
            v += g
            g = v
        w -= self.lr * g


class Adam(Optimizer):
    """Each weight with a step of its own: w ← w - lr · m̂ / (√v̂ + eps). Kingma & Ba 2015.

    m and v are running means of g and g², m̂ and v̂ the same without the pull of their start at 0.
    weight_decay adds weight_decay · w to g.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
        super().__init__(params, lr, weight_decay)
        for beta in betas:
            _check_range("betas", beta, 0, 1)
        self.betas, self.eps = betas, eps
        self.state = {}

    def update(self, position, w, g):
        if self.weight_decay:
            g = g + self.weight_decay * w
        self.adapt(position, w, g)

    def adapt(self, position, w, g):
        t, m, v = self.state.get(position, (0, np.zeros_like(w), np.zeros_like(w)))
        (beta1, beta2), t = self.betas, t + 1
        m += (1 - beta1) * (g - m)
        v += (1 - beta2) * (g * g - v)
        w -= self.lr / (1 - beta1**t) * m / (np.sqrt(v / (1 - beta2**t)) + self.eps)
        self.state[position] = t, m, v


class AdamW(Adam):
    """Adam whose weight decay shrinks w itself: w ← (1 - lr · weight_decay) · w. Loshchilov & Hutter 2019."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, position, w, g):
        w *= 1 - self.lr * self.weight_decay
        self.adapt(position, w, g)


def _check_range(name, value, least, below):
    if not least <= value < below:
        raise ValueError(f"{name}={value!r}: at least {least} and below {below} is allowed; choose another")
