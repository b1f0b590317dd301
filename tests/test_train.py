"""One loop for both frameworks: history, score, modes, and the ways in which training ends early."""

import numpy as np
import pytest
import torch

from helpers import functional as F
from helpers import nn, optim, train
from helpers.data import DataLoader
from helpers.tensor import Tensor
from tests.test_nn import to_torch


def make_data(count=50, seed=0):
    """Three blobs: (N, 6) float32 with labels 0, 1, 2."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    return (np.eye(3, 6)[labels] * 3 + rng.standard_normal((count, 6))).astype(np.float32), labels


def make_loader(**settings):
    usual = {"batch_size": 8, "shuffle": True, "rng": np.random.default_rng(1)}
    return DataLoader(*make_data(), **usual | settings)


def make_ours(lr=0.1):
    rng = np.random.default_rng(2)
    layers = [nn.Linear(6, 7, rng=rng), nn.ReLU(), nn.Dropout(0.0, rng=rng), nn.Linear(7, 3, rng=rng)]
    model = nn.Sequential(*layers)
    return model, F.cross_entropy, optim.SGD(model.parameters(), lr, momentum=0.9)


def make_torch(lr=0.1):
    layers = [torch.nn.Linear(6, 7), torch.nn.ReLU(), torch.nn.Dropout(0.0), torch.nn.Linear(7, 3)]
    model = torch.nn.Sequential(*layers)
    model.load_state_dict(to_torch(make_ours()[0].state_dict()))
    return model, torch.nn.functional.cross_entropy, torch.optim.SGD(model.parameters(), lr, momentum=0.9)


both = pytest.mark.parametrize("make", [make_ours, make_torch], ids=["ours", "PyTorch"])


@both
def test_fit_learns_and_keeps_a_history(make):
    history = train.fit(*make(), make_loader(), epochs=4, val_loader=make_loader(), progress=False)
    assert set(history) == {"step_loss", "epoch", "train_loss", "seconds", "val_loss", "val_accuracy"}
    assert len(history["step_loss"]) == 4 * 7 and history["epoch"] == [1, 2, 3, 4]
    assert all(len(values) == 4 for name, values in history.items() if name != "step_loss")
    assert history["val_accuracy"][-1] > 0.9 and history["train_loss"][-1] < history["train_loss"][0] / 2
    assert isinstance(history["step_loss"][0], float) and min(history["seconds"]) > 0


@both
def test_fit_trains_in_training_mode_whatever_the_mode_before(make):
    model, loss, optimizer = make()
    model.eval()
    modes = []

    def spy(output, labels):
        modes.append(model.training)
        return loss(output, labels)

    train.fit(model, spy, optimizer, make_loader(), progress=False)
    assert modes == [True] * 7


def test_both_frameworks_have_the_same_history():
    ours, torchs = (train.fit(*make(), make_loader(), epochs=3, val_loader=make_loader(), progress=False)
                    for make in (make_ours, make_torch))  # fmt: skip
    for name in ("step_loss", "train_loss", "val_loss", "val_accuracy"):
        assert np.allclose(ours[name], torchs[name], atol=1e-4), name


def test_train_loss_is_the_mean_over_examples_not_over_batches():
    model, loss, optimizer = make_ours(lr=0)
    images, labels = make_data()
    expected = loss(model(images), labels).item()
    history = train.fit(model, loss, optimizer, make_loader(), progress=False)
    assert np.isclose(history["train_loss"][0], expected, rtol=1e-5)
    assert "val_loss" not in history
    assert np.isclose(train.evaluate(model, loss, make_loader())["loss"], expected, rtol=1e-5)


def test_pytorchs_loader_and_any_iterable_with_a_length_will_do():
    images, labels = make_data()
    dataset = torch.utils.data.TensorDataset(torch.tensor(images), torch.tensor(labels))
    loader = torch.utils.data.DataLoader(dataset, batch_size=8)
    for make in (make_torch, make_ours):
        assert len(train.fit(*make(), loader, progress=False)["step_loss"]) == 7
        assert train.evaluate(*make()[:2], [(images, labels)])["accuracy"] <= 1


@both
def test_evaluate_and_predict_use_evaluation_mode_without_gradients_and_restore_the_mode(make):
    model, loss, _ = make()
    images, labels = make_data()
    images.flags.writeable = False
    seen = []

    def spy(output, labels):
        seen.append((output.requires_grad, model.training))
        return loss(output, labels)

    scores = train.evaluate(model, spy, [(images[:20], labels[:20]), (images[20:], labels[20:])])
    assert seen == [(False, False)] * 2 and model.training
    output = train.predict(model, images, batch_size=8)
    assert isinstance(output, np.ndarray) and output.shape == (50, 3)
    assert scores["accuracy"] == (output.argmax(axis=1) == labels).mean()
    model.eval()
    train.evaluate(model, loss, make_loader())
    assert not model.training


def test_accuracy_of_a_regression_is_nan():
    rng = np.random.default_rng(0)
    loader = DataLoader(np.ones((6, 2), np.float32), np.ones((6, 1), np.float32), batch_size=4)
    scores = train.evaluate(nn.Linear(2, 1, rng=rng), F.mse_loss, loader)
    assert np.isfinite(scores["loss"]) and np.isnan(scores["accuracy"])


@both
def test_a_loss_that_is_not_finite_stops_with_the_history(make):
    model, loss, optimizer = make(lr=1e30)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError) as caught:
        train.fit(model, loss, optimizer, make_loader(), epochs=9, progress=False)
    message = str(caught.value)
    steps = caught.value.history["step_loss"]
    assert isinstance(caught.value, train.TrainingDiverged) and not np.isfinite(steps[-1])
    assert f"step {len(steps)} with lr=1e+30" in message and "ten times smaller" in message


@both
def test_ctrl_c_returns_the_history_so_far(make, capsys):
    model, loss, optimizer = make()
    calls = []

    def interrupted(output, labels):
        calls.append(1)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return loss(output, labels)

    history = train.fit(model, interrupted, optimizer, make_loader(), epochs=3, progress=False)
    assert len(history["step_loss"]) == 9 and history["epoch"] == [1]
    assert "after 9 steps" in capsys.readouterr().out


def test_after_epoch_can_end_the_training():
    seen = []

    def stop_after_two(history):
        seen.append(history["epoch"][-1])
        return len(seen) == 2

    history = train.fit(*make_ours(), make_loader(), epochs=9, progress=False, after_epoch=stop_after_two)
    assert seen == history["epoch"] == [1, 2]


def test_progress_shows_and_can_be_switched_off(capsys):
    train.fit(*make_ours(), make_loader(), progress=False)
    quiet = capsys.readouterr()
    train.fit(*make_ours(), make_loader(), val_loader=make_loader())
    assert quiet.err == quiet.out == "" and "7/7" in capsys.readouterr().err


@pytest.mark.parametrize("call", [
    lambda: train.fit(*make_ours(), make_loader(batch_size=64, drop_last=True), progress=False),
    lambda: train.evaluate(*make_ours()[:2], []),
])  # fmt: skip
def test_an_empty_loader_is_refused(call):
    with pytest.raises(ValueError, match="loader is empty.*drop_last"):
        call()


# --- DataLoader --------------------------------------------------------------------------------------------


def test_a_loader_gives_every_example_once_in_matching_pairs():
    x, y = np.arange(7) * 10, np.arange(7)
    loader = DataLoader(x, y, batch_size=3, shuffle=True, rng=np.random.default_rng(0))
    rounds = [list(loader) for _ in range(2)]
    for batches in rounds:
        assert [len(a) for a, _ in batches] == [3, 3, 1] and len(loader) == 3
        assert all(np.array_equal(a, 10 * b) for a, b in batches)
        assert sorted(np.concatenate([b for _, b in batches])) == list(range(7))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(*rounds, strict=True)), "a new order each round"


def test_a_loader_is_repeatable_and_keeps_order_without_shuffle():
    first, second = ([b for _, b in make_loader()] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    plain = make_loader(shuffle=False, rng=None)
    assert np.array_equal(np.concatenate([b for _, b in plain]), make_data()[1])


def test_drop_last_leaves_out_the_smaller_batch():
    loader = make_loader(drop_last=True)
    assert len(loader) == 6 and [len(b) for _, b in loader] == [8] * 6
    assert len(make_loader(batch_size=25, drop_last=True)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size=0.*at least 1"),
        ({"batch_size": 2.5}, "batch_size=2.5.*whole"),
        ({"rng": None}, "rng=None.*default_rng"),
    ],
)
def test_a_wrong_loader_setting_names_value_and_remedy(settings, message):
    with pytest.raises(ValueError, match=message):
        make_loader(**settings)


def test_arrays_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"lengths \[3, 2\].*one length"):
        DataLoader(np.ones(3), np.ones(2), batch_size=1)


def test_a_tensor_batch_is_taken_as_it_is():
    assert nn.ReLU()(Tensor([-1.0, 2.0])).data.tolist() == [0, 2]


def test_fit_moves_the_scheduler_once_a_step():
    model, loss, optimizer = make_torch(lr=0.1)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1, end_factor=0.5, total_iters=14)
    rates = []

    def after_epoch(history):
        rates.append(scheduler.get_last_lr()[0])

    given = {"scheduler": scheduler, "after_epoch": after_epoch, "progress": False}
    train.fit(model, loss, optimizer, make_loader(), epochs=2, **given)
    assert rates == pytest.approx([0.075, 0.05])
