"""The PyTorch network of chapters 07 to 09: the same function as the course's own."""

import numpy as np
import pytest
import torch

from helpers import models, nn, train


def test_simple_cnn_gives_what_our_own_gives_with_the_same_weights():
    ours, torchs = nn.SimpleCNN(num_classes=7, rng=np.random.default_rng(0)), models.SimpleCNN(num_classes=7)
    torchs.load_state_dict({name: torch.from_numpy(a) for name, a in ours.state_dict().items()})
    images = np.random.default_rng(1).standard_normal((3, 3, 32, 32)).astype(np.float32)
    np.testing.assert_allclose(train.predict(torchs, images), train.predict(ours, images), atol=1e-5)


def test_features_are_what_the_last_layer_sees():
    model = models.SimpleCNN(num_classes=7).eval()
    images = torch.randn(2, 3, 32, 32)
    assert model.features(images).shape == (2, 128)
    torch.testing.assert_close(model.fc2(model.features(images)), model(images))


def test_batch_norm_and_dropout_come_only_when_asked_for():
    plain, both = models.SimpleCNN().state_dict(), models.SimpleCNN(batch_norm=True, dropout=0.5).state_dict()
    assert list(plain) == list(nn.SimpleCNN(rng=np.random.default_rng(0)).state_dict())
    assert {name.split(".")[0] for name in set(both) - set(plain)} == {"bn1", "bn2"}
    model = models.SimpleCNN(dropout=0.5)
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(model(images), model(images)), "training mode drops anew each time"
    assert torch.equal(model.eval()(images), model(images))


def moved(model, step):
    """The names of the parameters that a step changes."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step()
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def one_step(model, groups):
    sgd = torch.optim.SGD(groups)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    sgd.step()


def test_a_frozen_model_moves_only_the_layers_named():
    model = models.SimpleCNN(num_classes=7)
    assert models.freeze(model, but=["conv2", "fc2.bias"]) is model
    groups = models.param_groups(model, {"conv1": 9.0, "conv2": 0.1, "fc2": 0.1})
    names = moved(model, lambda: one_step(model, groups))
    assert names == {"conv2.weight", "conv2.bias", "fc2.bias"}
    models.freeze(model)
    assert not any(p.requires_grad for p in model.parameters())


def test_frozen_batch_norm_still_updates_its_running_statistics_in_training_mode():
    model = models.freeze(models.SimpleCNN(batch_norm=True), but=["fc2"])
    before = model.bn1.running_mean.clone()
    model.eval()(torch.randn(4, 3, 32, 32))
    assert torch.equal(model.bn1.running_mean, before)
    model.train()(torch.randn(4, 3, 32, 32))
    assert not torch.equal(model.bn1.running_mean, before), "as the docstring and chapter 09 say"


def test_each_group_of_parameters_steps_with_its_own_rate():
    model = models.SimpleCNN(num_classes=7)
    rates = {"conv1": 0.0, "conv2": 0.1, "fc1": 0.2, "fc2.weight": 0.3, "fc2.bias": 0.4}
    groups = models.param_groups(model, rates)
    assert [group["lr"] for group in groups] == list(rates.values())
    assert [len(group["params"]) for group in groups] == [2, 2, 2, 1, 1]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    one_step(model, groups)
    for name, p in model.named_parameters():
        lr = rates.get(name, rates.get(name.split(".")[0]))
        torch.testing.assert_close(before[name] - p, lr * p.grad, rtol=1e-4, atol=1e-4 * lr)


@pytest.mark.parametrize(
    "rates, message",
    [
        ({"conv1": 1, "conv2": 1, "fc1": 1}, "no rate for fc2.weight, fc2.bias"),
        ({"conv1": 1, "conv2": 1, "fc1": 1, "fc2": 1, "fc2.bias": 2}, "fc2.bias has two rates"),
        ({"conv": 1}, "the layers are conv1, conv2, fc1, fc2"),
    ],
)
def test_a_layer_without_a_rate_with_two_or_unknown_is_named(rates, message):
    with pytest.raises(ValueError, match=message):
        models.param_groups(models.SimpleCNN(), rates)


def test_freezing_all_but_an_unknown_layer_is_refused_before_anything_is_frozen():
    model = models.SimpleCNN()
    with pytest.raises(ValueError, match="'head' names no parameter"):
        models.freeze(model, but=["head"])
    assert all(p.requires_grad for p in model.parameters())
