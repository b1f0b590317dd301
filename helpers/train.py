"""The training loop, its history and its score: for our framework and for PyTorch alike.

The loop uses only what the two share: model(x), loss(output, labels), loss.backward(), optimizer.step(),
zero_grad(), train() and eval(). What differs, how a batch goes in and how an array comes out, is in
`_bridge`.
"""

import math
import sys
import time
from contextlib import contextmanager

import numpy as np
from tqdm.auto import tqdm

from helpers.tensor import no_grad


class TrainingDiverged(FloatingPointError):
    """The loss is no finite number any more; .history holds what was recorded until then."""

    def __init__(self, message, history):
        super().__init__(message)
        self.history = history


def fit(
    model, loss, optimizer, loader, epochs=1, val_loader=None, progress=True, after_epoch=None, scheduler=None
):
    """Train: once over `loader` an epoch, then score on `val_loader` → history.

    loader yields (images, labels): arrays, or PyTorch's tensors. The history is a dict of lists: "step_loss"
    with one number a step; "epoch", "train_loss", "seconds" and, given val_loader, "val_loss" and
    "val_accuracy" with one an epoch. after_epoch(history), if given, is called after each epoch; True ends
    the training. scheduler, if given, sets the learning rate: scheduler.step() follows each step. Ctrl-C
    ends the training too, and returns the history so far. Raises TrainingDiverged for a loss that is not
    finite, ValueError for an empty loader.
    """
    names = ("step_loss", "epoch", "train_loss", "seconds", "val_loss", "val_accuracy")
    history = {name: [] for name in names if val_loader is not None or not name.startswith("val_")}
    bar = tqdm(total=epochs * len(loader), disable=not progress, unit="step")
    try:
        for epoch in range(1, epochs + 1):
            row = _epoch(model, loss, optimizer, loader, history, bar, scheduler)
            if val_loader is not None:
                scores = evaluate(model, loss, val_loader)
                row |= {f"val_{name}": value for name, value in scores.items()}
            for name, value in {"epoch": epoch, **row}.items():
                history[name].append(value)
            bar.set_postfix(epoch=epoch, **{name: f"{value:.3f}" for name, value in row.items()})
            if after_epoch is not None and after_epoch(history):
                break
    except KeyboardInterrupt:
        print(f"stopped by you after {len(history['step_loss'])} steps; the model keeps what it has learned")
    finally:
        bar.close()
    return history


def _epoch(model, loss, optimizer, loader, history, bar, scheduler):
    """One pass over the loader: the mean loss of an example, and the seconds it took."""
    to_input, _ = _bridge(model)
    start, total, count = time.perf_counter(), 0.0, 0
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        value = loss(model(to_input(images)), to_input(labels))
        number = value.item()
        history["step_loss"].append(number)
        if not math.isfinite(number):
            raise TrainingDiverged(_diverged(number, optimizer, history), history)
        value.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total, count = total + number * len(labels), count + len(labels)
        bar.update()
    _check_not_empty("loader", count)
    return {"train_loss": total / count, "seconds": time.perf_counter() - start}


def evaluate(model, loss, loader):
    """Mean loss and share of right answers over the loader → {"loss": float, "accuracy": float}.

    In evaluation mode and without gradients; the mode is as before afterwards. Accuracy is NaN where labels
    are no class numbers.
    """
    to_input, to_array = _bridge(model)
    total, right, count = 0.0, 0, 0
    with _evaluating(model):
        for images, labels in loader:
            output, labels = model(to_input(images)), to_input(labels)
            total += loss(output, labels).item() * len(labels)
            right += _count_right(to_array(output), to_array(labels))
            count += len(labels)
    _check_not_empty("loader", count)
    return {"loss": total / count, "accuracy": right / count}


def predict(model, images, batch_size=256):
    """Outputs for an array of images, in evaluation mode and without gradients: (N, …) → array (N, K)."""
    _check_not_empty("images", len(images))
    to_input, to_array = _bridge(model)
    with _evaluating(model):
        parts = [images[n : n + batch_size] for n in range(0, len(images), batch_size)]
        return np.concatenate([to_array(model(to_input(part))) for part in parts])


def _count_right(output, labels):
    if output.ndim != 2 or labels.ndim != 1 or labels.dtype.kind not in "iu":
        return math.nan
    return int((output.argmax(axis=1) == labels).sum())


def _torch_of(model):
    """The torch module where the model is PyTorch's, else None: nothing here imports torch by itself."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(model, torch.nn.Module) else None


def _bridge(model):
    """How a batch becomes an input of this model's framework, and an output an array: two functions."""
    torch = _torch_of(model)
    if torch is None:
        return np.asarray, lambda output: np.asarray(getattr(output, "data", output))
    device = next((p.device for p in model.parameters()), torch.device("cpu"))

    def to_input(batch):
        if not torch.is_tensor(batch):
            batch = np.require(batch, requirements="W")  # torch warns of arrays that it must not write to
        return torch.as_tensor(batch, device=device)

    return to_input, lambda output: output.detach().cpu().numpy()


@contextmanager
def _evaluating(model):
    """Evaluation mode and no gradients inside; the mode as before outside."""
    torch, training = _torch_of(model), model.training
    model.eval()
    try:
        with torch.no_grad() if torch else no_grad():
            yield
    finally:
        model.train(training)


def _diverged(number, optimizer, history):
    lr = optimizer.lr if hasattr(optimizer, "lr") else optimizer.param_groups[0]["lr"]
    return (
        f"loss is {number} at step {len(history['step_loss'])} with lr={lr:g}: it must be finite; start "
        "again from new weights with a learning rate ten times smaller, and look for NaN or unscaled values "
        "in the images. The losses so far are in this error's .history"
    )


def _check_not_empty(name, count):
    if count == 0:
        raise ValueError(f"{name} is empty: it must hold one example or more; check batch_size and drop_last")
