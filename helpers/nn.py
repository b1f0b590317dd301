"""Layers that own parameters, with PyTorch's names, shapes and state_dict keys."""

import math
import os
import zipfile

import numpy as np

from helpers import functional as F
from helpers.tensor import Tensor


class Parameter(Tensor):
    """A Tensor that training changes: a Module finds its Parameters by itself."""

    def __init__(self, data):
        super().__init__(data, requires_grad=True)


class Module:
    """A function with parameters: subclasses set Parameters and Modules as attributes and define forward."""

    training = True

    def forward(self, x):
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x): define what it computes")

    def __call__(self, x):
        """forward(x). An array is taken as a constant Tensor, so that batches may come as plain arrays."""
        return self.forward(x if isinstance(x, Tensor) else Tensor(x))

    # --- what is inside ---------------------------------------------------------------------------

    def children(self):
        """(name, Module) of each direct part."""
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Module)]

    def modules(self):
        """This Module and every one inside it."""
        yield self
        for _, child in self.children():
            yield from child.modules()

    def named_parameters(self, prefix="", seen=None):
        """(name, Parameter) of every Parameter inside, the name as a path: "conv1.weight".

        A shared one comes once, under its first name, or an optimiser would step it twice.
        """
        seen = set() if seen is None else seen
        for name, value in vars(self).items():
            if isinstance(value, Parameter) and id(value) not in seen:
                seen.add(id(value))
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_parameters(f"{prefix}{name}.", seen)

    def parameters(self):
        """Every Parameter inside, as a list: what an optimiser takes."""
        return [parameter for _, parameter in self.named_parameters()]

    def _state(self, prefix=""):
        """(name, array) of parameters and of plain arrays such as running means, in PyTorch's order."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value.data
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                yield prefix + name, value
        for name, child in self.children():
            yield from child._state(f"{prefix}{name}.")

    def state_dict(self):
        """Copies of all parameters and running statistics: {"conv1.weight": array, …}."""
        return {name: array.copy() for name, array in self._state()}

    def load_state_dict(self, state, strict=True):
        """Copy the arrays of `state` (ours or PyTorch's) into this Module.

        Raises KeyError for missing or unexpected names (strict=False skips them), ValueError for wrong
        shapes. Nothing has changed then.
        """
        own = dict(self._state())
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        if strict and (missing or unexpected):
            raise KeyError(
                f"state does not fit {type(self).__name__}: missing {missing}, unexpected {unexpected}; it "
                "must come from the same layers under the same names, or pass strict=False to skip these"
            )
        new = {name: np.asarray(state[name]) for name in own if name in state}
        wrong = [
            f"{name}: {array.shape} instead of {own[name].shape}"
            for name, array in new.items()
            if array.shape != own[name].shape
        ]
        if wrong:
            raise ValueError(
                f"state does not fit {type(self).__name__}: wrong shapes {'; '.join(wrong)}; build the model "
                "with the sizes that the state was saved with, or leave these names out with strict=False"
            )
        for name, array in new.items():
            own[name][...] = array

    # --- modes ------------------------------------------------------------------------------------

    def train(self, mode=True):
        """Training mode for all parts: dropout drops, batch norm uses the batch. Returns the Module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Evaluation mode for all parts. Returns the Module."""
        return self.train(False)

    def zero_grad(self):
        """Forget all gradients, or the next backward would add to them."""
        for parameter in self.parameters():
            parameter.grad = None

    def double(self):
        """All parameters and statistics in float64, for checking gradients. Returns the Module."""
        for module in self.modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    value.data = value.data.astype(np.float64)
                elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    setattr(module, name, value.astype(np.float64))
        return self

    def __repr__(self):
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.children()]
        inside = "\n" + "\n".join(lines) + "\n" if lines else self.settings()
        return f"{type(self).__name__}({inside})"

    def settings(self):
        """What repr shows between the brackets of a layer without parts."""
        return ""


# --- layers -------------------------------------------------------------------------------------------


def _uniform(rng, shape, fan_in):
    """PyTorch's default start: uniform within ±1/√fan_in, whatever feeds one output.

    It keeps the size of activations bounded through the layers: Glorot & Bengio 2010, He et al. 2015.
    """
    bound = 1 / math.sqrt(fan_in)
    return Parameter(rng.uniform(-bound, bound, shape).astype(np.float32))


class Linear(Module):
    """y = x Wᵀ + b: (…, in_features) → (…, out_features); weight (out, in), bias (out,)."""

    def __init__(self, in_features, out_features, bias=True, *, rng):
        self.weight = _uniform(rng, (out_features, in_features), in_features)
        self.bias = _uniform(rng, (out_features,), in_features) if bias else None

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)

    def settings(self):
        out_features, in_features = self.weight.shape
        return f"in_features={in_features}, out_features={out_features}, bias={self.bias is not None}"


class Conv2d(Module):
    """O filters of k × k slid over the images: (N, C, H, W) → (N, O, H', W'); weight (O, C, k, k), bias (O,).

    H' = (H + 2·padding - k) // stride + 1.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng):
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.stride, self.padding = stride, padding
        self.weight = _uniform(rng, shape, in_channels * kernel_size**2)
        self.bias = _uniform(rng, (out_channels,), in_channels * kernel_size**2) if bias else None

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def settings(self):
        out, channels, k, _ = self.weight.shape
        return f"{channels}, {out}, kernel_size={k}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(Module):
    """The largest of each k × k window: (N, C, H, W) → (N, C, H', W'), stride k unless given."""

    def __init__(self, kernel_size, stride=None):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride

    def forward(self, x):
        return F.max_pool2d(x, self.kernel_size, self.stride)

    def settings(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class BatchNorm2d(Module):
    """Each channel to mean 0, variance 1, then weight · x + bias: (N, C, H, W) → same. Ioffe & Szegedy 2015.

    Training uses the mean and variance of the batch, and moves the running ones by `momentum` towards them
    (the variance as the unbiased estimate, as in PyTorch); evaluation uses the running ones.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum = eps, momentum
        self.weight = Parameter(np.ones(num_features, np.float32))
        self.bias = Parameter(np.zeros(num_features, np.float32))
        self.running_mean = np.zeros(num_features, np.float32)
        self.running_var = np.ones(num_features, np.float32)
        self.num_batches_tracked = np.array(0)

    def forward(self, x):
        self._check(x)
        if not self.training:
            mean, var = Tensor(self.running_mean), Tensor(self.running_var)
            return F.batch_norm(x, mean, var, self.weight, self.bias, self.eps)
        mean = x.mean(axis=(0, 2, 3))
        var = ((x - mean.reshape(1, -1, 1, 1)) ** 2).mean(axis=(0, 2, 3))
        self._track(mean.data, var.data, count=x.size // len(mean))
        return F.batch_norm(x, mean, var, self.weight, self.bias, self.eps)

    def _track(self, mean, var, count):
        self.num_batches_tracked += 1
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (var * count / (count - 1) - self.running_var)

    def _check(self, x):
        if x.ndim != 4 or x.shape[1] != len(self.weight):
            raise ValueError(
                f"BatchNorm2d: x has shape {x.shape}, num_features is {len(self.weight)}: x must be (N, C, "
                "H, W) with C = num_features; make the layer for the channels that come in"
            )
        if self.training and x.size == x.shape[1]:
            raise ValueError(
                f"BatchNorm2d: x {x.shape} has one value a channel, whose variance is 0: training needs "
                "more; use a larger batch (drop_last=True in DataLoader drops a last batch of one), or eval()"
            )

    def settings(self):
        return f"{len(self.weight)}, eps={self.eps}, momentum={self.momentum}"


class Dropout(Module):
    """In training, set each value to 0 with probability p, divide the others by 1 - p: any shape → same."""

    def __init__(self, p=0.5, *, rng):
        self.p, self.rng = p, rng

    def forward(self, x):
        return F.dropout(x, self.p, self.rng) if self.training else x

    def settings(self):
        return f"p={self.p}"


class ReLU(Module):
    """max(x, 0): any shape → same."""

    def forward(self, x):
        return F.relu(x)


class Flatten(Module):
    """(N, …) → (N, everything else in one row)."""

    def forward(self, x):
        return x.flatten(1)


class Sequential(Module):
    """Layers one after the other, named "0", "1", …"""

    def __init__(self, *layers):
        for position, layer in enumerate(layers):
            setattr(self, str(position), layer)

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x

    def __len__(self):
        return len(self.children())

    def __getitem__(self, position):
        return self.children()[position][1]


class SimpleCNN(Module):
    """The course's network: images (N, 3, 32, 32) → scores (N, num_classes)."""

    def __init__(self, num_classes=10, *, rng):
        self.conv1 = Conv2d(3, 32, kernel_size=3, padding=1, rng=rng)
        self.conv2 = Conv2d(32, 64, kernel_size=3, padding=1, rng=rng)
        self.pool = MaxPool2d(2)
        self.fc1 = Linear(64 * 8 * 8, 128, rng=rng)
        self.fc2 = Linear(128, num_classes, rng=rng)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))  # (N, 32, 16, 16)
        x = self.pool(F.relu(self.conv2(x)))  # (N, 64, 8, 8)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 128)
        return self.fc2(x)  # (N, num_classes)


# --- files --------------------------------------------------------------------------------------------


def save(state, path):
    """Write a state_dict as an .npz file, under a temporary name until it is complete."""
    temporary = f"{os.fspath(path)}.part"
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **state)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):  # something failed: leave no half file behind
            os.remove(temporary)


def load(path):
    """The state_dict that `save` wrote: {name: array}. Raises ValueError for any other file."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"path {os.fspath(path)!r} holds no state_dict ({error}): it must be an .npz file written by "
            "nn.save; save it again, or name another file"
        ) from error
