"""Optimisers take PyTorch's steps: on a whole SimpleCNN and on odd parameters."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from helpers import functional as F
from helpers import nn, optim
from helpers.nn import Parameter
from tests.test_nn import TorchCNN, make_batch, to_torch

RULES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.5}),
]
rules = pytest.mark.parametrize(("name", "settings"), RULES, ids=lambda part: str(part)[:40])


@rules
def test_five_steps_equal_pytorchs(name, settings):
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(shape).astype(np.float32) for shape in [(2, 3), (7,), ()]]
    ours, twins = [Parameter(a.copy()) for a in start], [torch.nn.Parameter(torch.tensor(a)) for a in start]
    optimizer = getattr(optim, name)(ours, **settings)
    twin_optimizer = getattr(torch.optim, name)(twins, **settings)
    for step in range(5):
        for parameter, twin in zip(ours, twins, strict=True):
            gradient = rng.standard_normal(parameter.shape).astype(np.float32)
            parameter.grad = gradient if step != 2 else None  # one step without a gradient: nothing may move
            twin.grad = torch.tensor(gradient) if step != 2 else None
        optimizer.step(), twin_optimizer.step()
        for parameter, twin in zip(ours, twins, strict=True):
            assert parameter.data.dtype == np.float32
            assert np.abs(parameter.data - twin.detach().numpy()).max() < 1e-6


@rules
def test_one_step_of_simple_cnn_equals_pytorchs(name, settings):
    ours, torchs = nn.SimpleCNN(rng=np.random.default_rng(0)), TorchCNN()
    torchs.load_state_dict(to_torch(ours.state_dict()))
    images, labels = make_batch(4)
    # Adam divides by |g|: where g is rounding error alone, its step is ±lr at random, unless eps is larger
    settings = settings | ({"eps": 1e-3} if name != "SGD" else {})
    optimizer = getattr(optim, name)(ours.parameters(), **settings)
    twin_optimizer = getattr(torch.optim, name)(torchs.parameters(), **settings)
    F.cross_entropy(ours(images), labels).backward()
    TF.cross_entropy(torchs(torch.tensor(images)), torch.tensor(labels)).backward()
    optimizer.step(), twin_optimizer.step()
    expected = torchs.state_dict()
    for key, array in ours.state_dict().items():
        assert np.abs(array - expected[key].numpy()).max() < 1e-5, key


def test_a_step_changes_the_arrays_in_place_and_leaves_the_gradient():
    parameter = Parameter(np.ones(3, np.float32))
    array, parameter.grad = parameter.data, np.ones(3, np.float32)
    optim.SGD([parameter], lr=0.5, momentum=0.9, weight_decay=0.1).step()
    assert parameter.data is array and parameter.grad.tolist() == [1, 1, 1]
    assert np.allclose(array, 1 - 0.5 * 1.1)


def test_the_learning_rate_can_be_changed_on_the_way():
    parameter = Parameter(np.zeros(1, np.float32))
    optimizer = optim.SGD(iter([parameter]), lr=1)
    for lr in (1, 0.1):
        optimizer.lr, parameter.grad = lr, np.ones(1, np.float32)
        optimizer.step()
    assert np.allclose(parameter.data, -1.1)
    optimizer.zero_grad()
    assert parameter.grad is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: optim.SGD([], lr=1), r"params is empty.*model.parameters\(\)"),
        (lambda p: optim.SGD(p, lr=-1), "lr=-1.*at least 0"),
        (lambda p: optim.SGD(p, lr=float("nan")), "lr=nan"),
        (lambda p: optim.SGD(p, lr=1, momentum=1), "momentum=1.*below 1"),
        (lambda p: optim.Adam(p, betas=(0.9, 1)), "betas=1.*below 1"),
        (lambda p: optim.AdamW(p, weight_decay=-0.1), "weight_decay=-0.1"),
    ],
)
def test_a_wrong_setting_names_value_and_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call([Parameter(np.ones(1))])
