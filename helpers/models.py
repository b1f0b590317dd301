"""The course's network in PyTorch, as chapter 07 writes it, for the chapters after it."""

import torch
from torch import nn
from torch.nn import functional as F


class SimpleCNN(nn.Module):
    """The course's network: images (N, 3, 32, 32) → scores (N, num_classes), named as in helpers.nn.

    batch_norm=True normalises the output of each convolution (bn1, bn2); dropout is the probability with
    which each of the 128 features is left out in training. Both belong to chapter 08 and are off by default.
    The start is PyTorch's own, drawn from its global generator: call torch.manual_seed first.
    """

    def __init__(self, num_classes=10, batch_norm=False, dropout=0.0):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(32) if batch_norm else nn.Identity()
        self.bn2 = nn.BatchNorm2d(64) if batch_norm else nn.Identity()
        self.fc1 = nn.Linear(64 * 8 * 8, 128)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(128, num_classes)
        self.to(memory_format=torch.channels_last)  # the same numbers in another order in memory: faster

    def forward(self, x):
        return self.fc2(self.dropout(self.features(x)))  # (N, num_classes)

    def features(self, x):
        """What the last layer sees: images (N, 3, 32, 32) → (N, 128)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)  # (N, 32, 16, 16)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)  # (N, 64, 8, 8)
        return F.relu(self.fc1(x.flatten(1)))  # (N, 128)


def freeze(model, but=()):
    """Keep all parameters as they are, except in the layers named in `but`: → the model.

    A frozen parameter gets no gradient (requires_grad is False). That does not stop batch norm from
    updating its running statistics nor dropout from dropping: only eval() does, and train() undoes it.
    Names are those of `named_parameters()` or begin them: "fc2", "fc2.bias", "blocks.3". Raises ValueError
    for a name that fits none.
    """
    named = dict(model.named_parameters())
    trained = {name for layer in but for name in _belonging(layer, named)}
    for name, parameter in named.items():
        parameter.requires_grad_(name in trained)
    return model


def param_groups(model, rates):
    """One learning rate a layer: rates {"conv1": 1e-4, "fc2": 1e-3, …} → groups for an optimiser.

    Frozen parameters are left out. Raises ValueError where a name fits no parameter, where a parameter
    that is not frozen has no rate, or has two.
    """
    named, groups, given = dict(model.named_parameters()), [], set()
    for layer, lr in rates.items():
        names = _belonging(layer, named)
        if twice := given & set(names):
            raise ValueError(f"{sorted(twice)[0]} has two rates in {list(rates)}: name each layer once")
        given |= set(names)
        trained = [named[name] for name in names if named[name].requires_grad]
        if trained:
            groups.append({"params": trained, "lr": lr})
    if missing := [name for name, p in named.items() if p.requires_grad and name not in given]:
        raise ValueError(f"no rate for {', '.join(missing)}: name the layer in rates, or freeze it")
    return groups


def _belonging(layer, named):
    """The names of the parameters of a layer: "fc2" → fc2.weight, fc2.bias."""
    names = [name for name in named if name == layer or name.startswith(f"{layer}.")]
    if not names:
        layers = dict.fromkeys(name.rsplit(".", 1)[0] for name in named)
        raise ValueError(f"{layer!r} names no parameter; the layers are {', '.join(layers)}")
    return names
