"""One training step of SimpleCNN, batch 64: our framework against PyTorch, in turns in one run.

    python benchmarks/numpy_cnn.py            # with 1 and with 2 threads, and the peak memory of a step

A step is forward, backward and SGD. First all must compute the same loss and gradients. Then they take turns,
since a machine's pace changes while others use it: the ratio of neighbours in time is robust, and its median
is printed. On a busy machine the figures for all its threads say little: run it again when it is quiet.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

THREAD_SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
BATCH = 64
LIMIT = 20  # seconds that one series of turns may take


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts to measure")
    parser.add_argument("--rounds", type=int, default=60, help="turns of each competitor, or what 20 s allow")
    parser.add_argument("--part", choices=("time", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--of", choices=("ours", "PyTorch"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part == "time":
        return compare_times(arguments.threads[0], arguments.rounds)
    if arguments.part == "memory":
        return print_memory(arguments.of)
    for threads in arguments.threads:
        in_new_process(threads, "--part", "time", "--rounds", str(arguments.rounds))
    print("Peak memory of a step (growth of the peak resident size from a step of 1 image to steps of 64):")
    for name in ("ours", "PyTorch"):
        in_new_process(arguments.threads[-1], "--part", "memory", "--of", name)


def in_new_process(threads, *arguments):
    """Run this file again: thread counts are read once, at import, and a peak of memory never falls."""
    environment = os.environ | {name: str(threads) for name in THREAD_SETTINGS}
    command = [sys.executable, os.path.abspath(__file__), "--threads", str(threads), *arguments]
    subprocess.run(command, check=True, env=environment)


def make_batch(count):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.standard_normal((count, 3, 32, 32)).astype(np.float32), rng.integers(0, 10, count)


def make_ours():
    """Our model, and a function that takes one training step with a batch and returns the loss."""
    import numpy as np

    from helpers import functional as F
    from helpers import nn, optim

    model = nn.SimpleCNN(rng=np.random.default_rng(0))
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def step(images, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return model, step


def make_torch(channels_last=False):
    """The same in PyTorch, in its default layout or in channels_last."""
    import torch
    from torch import nn

    layers = {
        "conv1": nn.Conv2d(3, 32, 3, padding=1), "relu1": nn.ReLU(), "pool1": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(32, 64, 3, padding=1), "relu2": nn.ReLU(), "pool2": nn.MaxPool2d(2),
        "flatten": nn.Flatten(), "fc1": nn.Linear(64 * 8 * 8, 128), "relu3": nn.ReLU(),
        "fc2": nn.Linear(128, 10),
    }  # fmt: skip
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    model.to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step(images, labels):
        optimizer.zero_grad()
        x = torch.from_numpy(images).to(memory_format=layout)
        loss = nn.functional.cross_entropy(model(x), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    return model, step


def compare_times(threads, rounds):
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    ours, step = make_ours()
    competitors = {"ours": step}
    batch = make_batch(BATCH)
    state = {name: torch.from_numpy(array) for name, array in ours.state_dict().items()}
    loss = step(*batch)
    for name, channels_last in (("PyTorch", False), ("PyTorch channels_last", True)):
        model, competitors[name] = make_torch(channels_last)
        model.load_state_dict(state)
        assert abs(competitors[name](*batch) - loss) < 1e-5, name
        for (key, parameter), twin in zip(ours.named_parameters(), model.parameters(), strict=True):
            assert np.abs(parameter.grad - twin.grad.numpy()).max() < 1e-5, (name, key)

    seconds = in_turns({name: lambda s=s: s(*batch) for name, s in competitors.items()}, rounds)
    print(f"SimpleCNN: forward, backward, SGD, batch {BATCH}, float32, threads: {threads}, same numbers")
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["ours"], times, strict=True))
        middle, least = statistics.median(times) * 1e3, min(times) * 1e3
        print(f"  {name:22} median {middle:6.1f} ms, least {least:6.1f} ms; ours is {ratio:.2f} × its time")
    compare_convolutions(threads)


def compare_convolutions(threads):
    """For scale: the second convolution's forward pass alone: loops, plain im2col, ours and PyTorch's."""
    import numpy as np
    import torch

    from helpers import functional as F
    from helpers.tensor import Tensor

    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, 32, 16, 16)).astype(np.float32)
    w = rng.standard_normal((64, 32, 3, 3)).astype(np.float32)
    ways = {
        "plain im2col": lambda: convolve_by_im2col(x, w),
        "ours": lambda: F.conv2d(Tensor(x), Tensor(w), padding=1).data,
        "PyTorch": lambda: torch.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=1).numpy(),
    }
    expected = ways["PyTorch"]()
    assert all(np.allclose(way(), expected, atol=1e-3) for way in ways.values())
    start = time.perf_counter()
    few = convolve_by_loops(x[:1], w[:1])
    whole = (time.perf_counter() - start) * BATCH * len(w)
    assert np.allclose(few, expected[:1, :1], atol=1e-3)
    print(f"  conv 32→64 forward alone: loops about {whole:.0f} s (from 1 image, 1 filter)", end="")
    for name, times in in_turns(ways, 15).items():
        print(f", {name} {statistics.median(times) * 1e3:.1f} ms", end="")
    print()


def convolve_by_im2col(x, w):
    """All patches as the columns of one matrix, channel first, as textbooks do it."""
    import numpy as np

    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))  # (N, C, H, W, k, k)
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(w[0].size, -1)  # (C·k·k, N·H·W)
    n, _, height, width = x.shape
    return (w.reshape(len(w), -1) @ columns).reshape(-1, n, height, width).transpose(1, 0, 2, 3)


def convolve_by_loops(x, w):
    """The definition, number by number."""
    import numpy as np

    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    y = np.zeros((len(x), len(w), *x.shape[2:]), x.dtype)
    for n, o, i, j in np.ndindex(y.shape):
        for c, u, v in np.ndindex(w.shape[1:]):
            y[n, o, i, j] += padded[n, c, i + u, j + v] * w[o, c, u, v]
    return y


def in_turns(ways, rounds):
    """Seconds of every call, {name: [of each round]}: one call each a round, three rounds to warm up."""
    seconds, end = {name: [] for name in ways}, time.perf_counter() + LIMIT
    for turn in range(-3, rounds):
        if turn > 2 and time.perf_counter() > end:
            break
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_memory(name):
    _, step = make_ours() if name == "ours" else make_torch()
    step(*make_batch(1))
    before = peak()
    for _ in range(3):
        step(*make_batch(BATCH))
    print(f"  {name:22} {peak() - before:6.1f} MB")


def peak():
    """Peak resident memory of this process in MB (Linux counts kilobytes, macOS bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
