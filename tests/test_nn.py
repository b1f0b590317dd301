"""Layers: names, shapes and numbers as PyTorch's, states that move between the two, files."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from helpers import functional as F
from helpers import nn
from helpers.gradcheck import check_gradients, relative_error
from helpers.tensor import Tensor


class TorchCNN(torch.nn.Module):
    """SimpleCNN as one writes it in PyTorch."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 32, kernel_size=3, padding=1)
        self.conv2 = torch.nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.pool = torch.nn.MaxPool2d(2)
        self.fc1 = torch.nn.Linear(64 * 8 * 8, 128)
        self.fc2 = torch.nn.Linear(128, num_classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


def to_torch(state):
    return {name: torch.from_numpy(array) for name, array in state.items()}


def make_batch(count=6):
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, 3, 32, 32)).astype(np.float32), rng.integers(0, 10, count)


def make_rng():
    return np.random.default_rng(0)


def make_pairs(rng=None):
    """A model of ours with batch norm and the same in PyTorch."""
    rng = rng or make_rng()
    ours = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1, rng=rng), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2, 1),
        nn.Flatten(), nn.Linear(18, 7, bias=False, rng=rng),
    )  # fmt: skip
    torchs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, stride=2, padding=1), torch.nn.BatchNorm2d(3), torch.nn.ReLU(),
        torch.nn.MaxPool2d(2, 1), torch.nn.Flatten(), torch.nn.Linear(18, 7, bias=False),
    )  # fmt: skip
    return ours, torchs


def test_simple_cnn_state_goes_to_pytorch_and_back():
    ours, torchs = nn.SimpleCNN(rng=make_rng()), TorchCNN()
    assert list(ours.state_dict()) == list(torchs.state_dict())
    images, labels = make_batch()
    back = nn.SimpleCNN(rng=np.random.default_rng(5))
    back.load_state_dict(torchs.state_dict())
    assert relative_error(back(images).data, torchs(torch.tensor(images)).detach().numpy()) < 1e-5
    torchs.load_state_dict(to_torch(ours.state_dict()))
    out, expected = ours(images), torchs(torch.tensor(images))
    assert relative_error(out.data, expected.detach().numpy()) < 1e-5
    F.cross_entropy(out, labels).backward()
    TF.cross_entropy(expected, torch.tensor(labels)).backward()
    for (name, parameter), twin in zip(ours.named_parameters(), torchs.parameters(), strict=True):
        largest = float(twin.grad.abs().max())
        assert np.abs(parameter.grad - twin.grad.numpy()).max() < 1e-5 * max(largest, 0.01), name


def test_batch_norm_trains_and_evaluates_as_pytorch_and_swaps_its_state():
    ours, torchs = make_pairs()
    assert list(ours.state_dict()) == list(torchs.state_dict())
    torchs.load_state_dict(to_torch(ours.state_dict()))
    rng = np.random.default_rng(3)
    for _ in range(3):
        x = (2 + 3 * rng.standard_normal((6, 2, 6, 7))).astype(np.float32)
        weights = rng.standard_normal((6, 7)).astype(np.float32)
        ours.zero_grad(), torchs.zero_grad()
        tensor, twin = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        (ours(tensor) * weights).sum().backward()
        (torchs(twin) * torch.tensor(weights)).sum().backward()
        assert relative_error(tensor.grad, twin.grad.numpy()) < 1e-5
        for (name, parameter), other in zip(ours.named_parameters(), torchs.parameters(), strict=True):
            scale = max(1.0, float(other.grad.abs().max()))
            assert np.abs(parameter.grad - other.grad.numpy()).max() < 1e-5 * scale, name
    state, expected = ours.state_dict(), torchs.state_dict()
    for name in state:
        assert relative_error(state[name], expected[name].numpy()) < 1e-5, name
    assert state["1.num_batches_tracked"] == 3 and state["1.num_batches_tracked"].dtype == np.int64
    ours.eval(), torchs.eval()
    assert relative_error(ours(x).data, torchs(torch.tensor(x)).detach().numpy()) < 1e-5
    assert np.array_equal(ours.state_dict()["1.running_mean"], state["1.running_mean"]), "eval must not track"


def test_gradients_through_batch_norm_equal_numeric_ones():
    layer = nn.BatchNorm2d(3).double()
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 6, 7)), requires_grad=True)
    check_gradients(lambda x: layer(x), x, rng=make_rng(), tol=1e-6)


@pytest.mark.parametrize(
    ("layer", "twin"),
    [(nn.Linear(6, 700, rng=make_rng()), torch.nn.Linear(6, 700)),
     (nn.Conv2d(2, 300, 3, rng=make_rng()), torch.nn.Conv2d(2, 300, 3))],
)  # fmt: skip
def test_layers_start_as_pytorchs(layer, twin):
    for ours, theirs in zip(layer.parameters(), twin.parameters(), strict=True):
        assert ours.shape == tuple(theirs.shape) and ours.dtype == np.float32
        bound = 1 / np.sqrt(np.prod(layer.weight.shape[1:]))
        assert 0.95 * bound < np.abs(ours.data).max() <= bound
        assert abs(ours.data.std() - theirs.detach().numpy().std()) < 0.1 * bound
        assert abs(ours.data.mean()) < 0.1 * bound


def test_the_same_rng_gives_the_same_model():
    a, b = (nn.SimpleCNN(rng=make_rng()).state_dict() for _ in range(2))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    with pytest.raises(TypeError, match="rng"):
        nn.Linear(2, 3)


def test_dropout_drops_in_training_only():
    layer, x = nn.Dropout(0.5, rng=make_rng()), Tensor(np.ones((20, 30), np.float32))
    assert set(np.unique(layer(x).data)) == {0, 2}
    assert layer.eval()(x) is x


def test_train_and_eval_reach_every_part():
    model = nn.Sequential(nn.Sequential(nn.Dropout(rng=make_rng())), nn.ReLU())
    assert model.eval() is model and not any(m.training for m in model.modules())
    assert all(m.training for m in model.train().modules())


def test_a_shared_parameter_is_listed_once():
    first, second = (nn.Linear(3, 3, rng=np.random.default_rng(seed)) for seed in (0, 1))
    second.weight = first.weight
    model = nn.Sequential(first, second)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(model.parameters()) == 3 and len(model.state_dict()) == 4  # as in PyTorch


def test_zero_grad_and_parameters_reach_every_part():
    model, _ = make_pairs()
    model(np.ones((2, 2, 6, 7), np.float32)).sum().backward()
    assert len(model.parameters()) == 5 and all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_state_dict_is_a_copy():
    model = nn.Linear(2, 3, rng=make_rng())
    state = model.state_dict()
    model.weight.data += 1
    assert not np.array_equal(state["weight"], model.weight.data)
    model.load_state_dict(state)
    state["weight"] += 1
    assert not np.array_equal(state["weight"], model.weight.data)


def test_a_model_shows_its_parts():
    head = nn.Sequential(nn.Linear(2, 3, rng=make_rng()), nn.Dropout(0.1, rng=None))
    model = nn.Sequential(nn.Flatten(), head)
    assert repr(model) == (
        "Sequential(\n  (0): Flatten()\n  (1): Sequential(\n"
        "    (0): Linear(in_features=2, out_features=3, bias=True)\n    (1): Dropout(p=0.1)\n  )\n)"
    )
    assert len(model) == 2 and isinstance(model[0], nn.Flatten)
    for layer in (nn.Conv2d(2, 3, 5, rng=make_rng()), nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU()):
        assert repr(layer).startswith(type(layer).__name__ + "(")


def test_a_state_survives_a_file_and_a_failed_save_leaves_the_old_one(tmp_path):
    model, _ = make_pairs()
    path = tmp_path / "model.npz"
    nn.save(model.state_dict(), path)
    loaded = nn.load(path)
    assert list(loaded) == list(model.state_dict())
    other, _ = make_pairs(np.random.default_rng(9))
    other.load_state_dict(loaded)
    assert all(np.array_equal(loaded[name], array) for name, array in other.state_dict().items())
    with pytest.raises(RuntimeError):
        nn.save({"a": Broken()}, path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"] and list(nn.load(path)) == list(loaded)


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("disk full")


@pytest.mark.parametrize("content", [b"no zip", b"", b"PK\x03\x04 cut", b"\x93NUMPY\x01"])
def test_load_refuses_what_is_no_state(tmp_path, content):
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model.npz.*written by nn.save.*another file"):
        nn.load(path)


def test_load_runs_no_code_from_a_file(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, a=np.array([{"code": 1}], dtype=object))
    with pytest.raises(ValueError, match="nn.save"):
        nn.load(path)


def change(**new):
    state = nn.Linear(2, 3, rng=make_rng()).state_dict() | new
    return {name: array for name, array in state.items() if array is not None}


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (change(bias=None), KeyError, r"missing \['bias'\], unexpected \[\].*strict=False"),
        (change(head=np.ones(2)), KeyError, r"missing \[\], unexpected \['head'\]"),
        (change(weight=np.ones((2, 3))), ValueError, r"weight: \(2, 3\) instead of \(3, 2\).*sizes"),
    ],
)
def test_load_state_dict_refuses_another_models_state_and_changes_nothing(state, error, message):
    model = nn.Linear(2, 3, rng=np.random.default_rng(7))
    before = model.state_dict()
    with pytest.raises(error, match=message):
        model.load_state_dict(state)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_load_state_dict_not_strict_skips_other_names_only():
    model = nn.Linear(2, 3, rng=np.random.default_rng(7))
    model.load_state_dict(change(bias=None, head=np.ones(2)), strict=False)
    assert np.array_equal(model.weight.data, change()["weight"])
    with pytest.raises(ValueError, match="instead of"):
        model.load_state_dict({"bias": np.ones(2)}, strict=False)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.BatchNorm2d(3)(np.ones((2, 6, 2, 2))), ValueError, r"\(2, 6, 2, 2\).*is 3.*come in"),
        (lambda: nn.BatchNorm2d(3)(np.ones((1, 3, 1, 1))), ValueError, r"one value a channel.*larger batch"),
        (lambda: nn.Linear(3, 2, rng=make_rng())(np.ones((2, 3))), TypeError, "float.*astype"),
        (lambda: nn.Module()(np.ones(2)), NotImplementedError, "forward"),
    ],
)
def test_a_layer_names_value_rule_and_remedy(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_import_is_quick_and_needs_no_torch_or_matplotlib():
    code = (
        "import sys, time; start = time.perf_counter(); import numpy; numpy_s = time.perf_counter() - start\n"
        "import helpers.nn, helpers.optim\n"
        "assert not {'torch', 'matplotlib', 'scipy', 'sklearn'} & set(sys.modules), 'heavy import'\n"
        "print(time.perf_counter() - start)"
    )
    times = []
    for _ in range(3):  # the quickest of three: others may be using the machine
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(float(out.stdout))
    assert min(times) < 0.5
