"""The course's framework and PyTorch compute the same: layer by layer, gradient, update, 20 steps."""

import numpy as np
import pytest
import torch
from torch.nn import functional as torch_functional

from helpers import data, functional, models, nn, optim, train
from helpers.tensor import Tensor

OURS = (functional, optim)
THEIRS = (torch_functional, torch.optim)


@pytest.fixture(scope="module")
def digits():
    """22 batches of 32 coloured digits, centred: list of (images (32, 3, 32, 32), labels (32,))."""
    images, labels = data.load_characters("digits", "train")
    rng = np.random.default_rng(0)
    loader = data.DataLoader((images - 0.5) / 0.25, labels, batch_size=32, shuffle=True, rng=rng)
    return [batch for batch, _ in zip(loader, range(22), strict=False)]


@pytest.fixture(scope="module")
def trained():
    """Weights that have learned something: those of the committed reader, 62 classes."""
    return {name: torch.from_numpy(array) for name, array in data.load_weights("characters_cnn").items()}


def pair(weights, num_classes, dtype="float32"):
    """Our network and PyTorch's with the same weights."""
    ours, theirs = nn.SimpleCNN(num_classes, rng=np.random.default_rng(0)), models.SimpleCNN(num_classes)
    for network in (ours, theirs):
        network.load_state_dict(weights)
        if dtype == "float64":
            network.double()
    return ours, theirs


def layers(network, x, f):
    """The output of every layer, f being the framework's functions: name → (N, …)."""
    outputs = {}
    for name in ("conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "fc1", "relu3", "fc2"):
        if name == "fc1":
            x = x.flatten(1)
        if name.startswith("relu"):
            x = f.relu(x)
        elif name.startswith("pool"):
            x = f.max_pool2d(x, 2)
        else:
            x = getattr(network, name)(x)
        outputs[name] = x
    return outputs


def with_gradients(weights, batch, dtype):
    """Both networks after one backward pass: → the two networks, the two dicts of activations and loss."""
    ours, theirs = pair(weights, 62, dtype)
    x, t = batch[0].astype(dtype), batch[1]
    mine = layers(ours, Tensor(x), functional)
    its = layers(theirs, torch.from_numpy(x), torch_functional)
    mine["loss"] = functional.cross_entropy(mine["fc2"], t)
    its["loss"] = torch_functional.cross_entropy(its["fc2"], torch.from_numpy(t))
    mine["loss"].backward()
    its["loss"].backward()
    return ours, theirs, mine, its


def assert_near(a, b, name, dtype):
    """Within 1e-5: absolutely in float64; in float32, of seven digits, relative to the largest number."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype == dtype, name
    scale = max(1, np.abs(b).max()) if dtype == "float32" else 1
    assert np.abs(a - b).max() <= 1e-5 * scale, name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_and_loss_agree_layer_by_layer(trained, digits, dtype):
    _, _, mine, its = with_gradients(trained, digits[0], dtype)
    assert len(mine) == 10
    for name in mine:
        assert_near(mine[name].data, its[name].detach(), name, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_each_parameter_agrees(trained, digits, dtype):
    ours, theirs, _, _ = with_gradients(trained, digits[0], dtype)
    names = [name for name, _ in ours.named_parameters()]
    assert names == [name for name, _ in theirs.named_parameters()] and len(names) == 8
    for name, p in ours.named_parameters():
        assert np.abs(p.grad).max() > 1e-4, "a gradient of zeros would agree with anything"
        assert_near(p.grad, theirs.get_parameter(name).grad, name, dtype)


@pytest.mark.parametrize(
    ("rule", "settings", "dtype"),
    [
        ("SGD", dict(lr=0.02, momentum=0.9), "float32"),
        ("SGD", dict(lr=0.02, momentum=0.9), "float64"),
        ("Adam", dict(lr=1e-3), "float64"),  # in float32 its quotient shows the rounding of tiny gradients
        ("AdamW", dict(lr=1e-3, weight_decay=0.1), "float64"),
    ],
)
def test_two_updates_agree(trained, digits, rule, settings, dtype):
    ours, theirs, _, _ = with_gradients(trained, digits[0], dtype)
    before = ours.state_dict()
    for network, (_, rules) in ((ours, OURS), (theirs, THEIRS)):
        optimizer = getattr(rules, rule)(network.parameters(), **settings)
        optimizer.step()
        optimizer.step()  # with the same gradient: the second step shows the momentum
    for name, p in ours.named_parameters():
        assert np.abs(p.data - before[name]).max() > 1e-4
        assert_near(p.data, theirs.get_parameter(name).detach(), name, dtype)


@pytest.mark.parametrize(
    ("rule", "settings"), [("SGD", dict(lr=0.02, momentum=0.9)), ("Adam", dict(lr=1e-3))], ids=["SGD", "Adam"]
)
def test_twenty_steps_from_the_same_start_give_the_same_loss_curve(digits, rule, settings):
    start = nn.SimpleCNN(10, rng=np.random.default_rng(0)).state_dict()
    curves = []
    networks = pair({name: torch.from_numpy(array) for name, array in start.items()}, 10)
    for network, (f, rules) in zip(networks, (OURS, THEIRS), strict=True):
        optimizer = getattr(rules, rule)(network.parameters(), **settings)
        run = train.fit(network, f.cross_entropy, optimizer, digits[:20], progress=False)
        curves.append(run["step_loss"])
    assert len(curves[0]) == 20
    assert np.ptp(curves[0]) > 0.02, "curves that stay where they began would agree with anything"
    np.testing.assert_allclose(curves[0], curves[1], rtol=0, atol=1e-3)
