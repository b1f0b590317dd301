"""Every operation on Tensors: one table drives values, gradients, dtypes. A new operation is one row."""

import gc
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from helpers import functional as F
from helpers.gradcheck import check_gradients, numeric_gradient, relative_error
from helpers.tensor import Tensor, concatenate, no_grad, operation, stack

LABELS = np.array([2, 0, 6])
TOKENS = np.array([[1, 0, 1], [1, 1, 0]])
CAUSAL = np.where(np.tri(3), 0, -np.inf)


# name, our function, shapes of the inputs, PyTorch's function (None: the same expression serves both)
OPERATIONS = [
    ("add", lambda a, b: a + b, [(2, 3), (2, 3)], None),
    ("add a row", lambda a, b: a + b, [(2, 3), (3,)], None),
    ("add a column", lambda a, b: a + b, [(2, 1), (6, 2, 3)], None),
    ("add a number", lambda a: 2 + a + 1, [(2, 3)], None),
    ("sub", lambda a, b: a - b, [(2, 3), (1, 3)], None),
    ("sub from a number", lambda a: 2 - a, [(2, 3)], None),
    ("neg", lambda a: -a, [(2, 3)], None),
    ("mul", lambda a, b: a * b, [(7, 2, 1), (2, 3)], None),
    ("mul with itself", lambda a: a * a, [(2, 3)], None),
    ("div", lambda a, b: a / b, [(2, 3), (3,)], None),
    ("div of a number", lambda a: 2 / a, [(2, 3)], None),
    ("pow", lambda a: a**3, [(2, 3)], None),
    ("pow of -1", lambda a: a**-1, [(2, 3)], None),
    ("matmul", lambda a, b: a @ b, [(2, 3), (3, 7)], None),
    ("matmul of batches", lambda a, b: a @ b, [(6, 2, 3), (6, 3, 7)], None),
    ("matmul broadcast", lambda a, b: a @ b, [(6, 1, 2, 3), (2, 3, 7)], None),
    ("matmul batch and matrix", lambda a, b: a @ b, [(6, 2, 3), (3, 7)], None),
    ("matmul matrix and vector", lambda a, b: a @ b, [(2, 3), (3,)], None),
    ("matmul vector and matrix", lambda a, b: a @ b, [(3,), (3, 7)], None),
    ("matmul vector and batch", lambda a, b: a @ b, [(3,), (6, 3, 7)], None),
    ("matmul of vectors", lambda a, b: a @ b, [(3,), (3,)], None),
    ("exp", lambda a: a.exp(), [(2, 3)], None),
    ("log", lambda a: (a * a).log(), [(2, 3)], None),
    ("sqrt", lambda a: (a * a).sqrt(), [(2, 3)], None),
    ("tanh", lambda a: a.tanh(), [(2, 3)], None),
    ("sum", lambda a: a.sum(), [(2, 3)], None),
    ("sum over an axis", lambda a: a.sum(axis=1), [(2, 3, 6)], None),
    ("sum over two axes", lambda a: a.sum(axis=(0, -1)), [(2, 3, 6)], None),
    ("sum keeping the axis", lambda a: a.sum(axis=1, keepdims=True), [(2, 3, 6)], None),
    ("mean", lambda a: a.mean(), [(2, 3)], None),
    ("mean over an axis", lambda a: a.mean(axis=-1, keepdims=True), [(2, 3, 6)], None),
    ("max", lambda a: a.max(), [(2, 3)], None),
    ("max over an axis", lambda a: a.max(axis=1), [(2, 3, 6)], lambda a: a.amax(1)),
    ("max keeping the axes", lambda a: a.max(axis=(0, 2), keepdims=True), [(2, 3, 6)],
     lambda a: a.amax((0, 2), keepdim=True)),
    ("reshape", lambda a: a.reshape(6, -1), [(2, 3, 7)], None),
    ("flatten", lambda a: a.flatten(1), [(2, 3, 7)], None),
    ("permute", lambda a: a.permute(2, 0, 1), [(2, 3, 7)], None),
    ("transpose", lambda a: a.transpose(0, -1), [(2, 3, 7)], None),
    ("T", lambda a: a.T, [(2, 3)], None),
    ("index a slice", lambda a: a[1:, ::2], [(3, 7)], None),
    ("index a number", lambda a: a[1], [(3, 7)], None),
    ("index twice the same", lambda a: a[TOKENS], [(2, 7)], None),
    ("index pairs", lambda a: a[np.arange(3), LABELS], [(3, 7)], None),
    ("concatenate", lambda a, b: concatenate([a, b], axis=1), [(2, 3), (2, 7)], lambda *t: torch.cat(t, 1)),
    ("concatenate at -1", lambda a, b: concatenate([a, b], -1), [(2, 3), (2, 7)],
     lambda *t: torch.cat(t, -1)),
    ("stack", lambda a, b: stack([a, b], axis=1), [(2, 3), (2, 3)], lambda *t: torch.stack(t, 1)),
    ("stack at -1", lambda a, b: stack([a, b], axis=-1), [(2, 3), (2, 3)], lambda *t: torch.stack(t, -1)),
    ("relu", F.relu, [(2, 3, 7)], torch.relu),
    ("sigmoid", F.sigmoid, [(2, 3)], torch.sigmoid),
    ("linear", F.linear, [(2, 3), (7, 3), (7,)], TF.linear),
    ("linear without bias", F.linear, [(2, 3), (7, 3)], TF.linear),
    ("linear of sequences", F.linear, [(6, 2, 3), (7, 3), (7,)], TF.linear),
    ("softmax", F.softmax, [(2, 3, 7)], lambda x: TF.softmax(x, -1)),
    ("softmax over axis 1", lambda x: F.softmax(x, axis=1), [(2, 3, 7)], lambda x: TF.softmax(x, 1)),
    ("softmax with a mask", lambda x: F.softmax(x + CAUSAL.astype(x.dtype)), [(2, 3, 3)],
     lambda x: TF.softmax(x + torch.tensor(CAUSAL, dtype=x.dtype), -1)),
    ("log_softmax", F.log_softmax, [(3, 7)], lambda x: TF.log_softmax(x, -1)),
    ("cross_entropy", lambda x: F.cross_entropy(x, LABELS), [(3, 7)],
     lambda x: TF.cross_entropy(x, torch.tensor(LABELS))),
    ("mse_loss", F.mse_loss, [(2, 3), (2, 3)], TF.mse_loss),
    ("dropout of nothing", lambda x: F.dropout(x, 0.0, np.random.default_rng(0)), [(2, 3)], lambda x: x * 1),
    ("batch_norm", lambda x, m, v, w, b: F.batch_norm(x, m, v * v, w, b), [(2, 3, 6, 7), *[(3,)] * 4],
     lambda x, m, v, w, b: (x - m.view(3, 1, 1)) / (v * v + 1e-5).sqrt().view(3, 1, 1) * w.view(3, 1, 1)
     + b.view(3, 1, 1)),
]  # fmt: skip


def conv(stride, padding):
    return lambda *inputs: F.conv2d(*inputs, stride=stride, padding=padding)


def torch_conv(stride, padding):
    return lambda *inputs: TF.conv2d(*inputs, stride=stride, padding=padding)


for k in range(1, 6):
    for stride in (1, 2, 3):
        for padding in (0, 1, 2):
            shapes = [(2, 3, 6, 7), (4, 3, k, k), (4,)]
            name = f"conv2d kernel {k} stride {stride} padding {padding}"
            OPERATIONS.append((name, conv(stride, padding), shapes, torch_conv(stride, padding)))
OPERATIONS += [
    ("conv2d batch 1", conv(1, 1), [(1, 2, 6, 7), (3, 2, 3, 3), (3,)], torch_conv(1, 1)),
    ("conv2d without bias", conv(2, 1), [(2, 3, 7, 6), (2, 3, 3, 3)], torch_conv(2, 1)),
    ("conv2d unequal kernel", conv(2, 1), [(2, 3, 7, 6), (2, 3, 2, 3)], torch_conv(2, 1)),
    ("conv2d of one pixel", conv(1, 0), [(2, 3, 1, 1), (2, 3, 1, 1), (2,)], torch_conv(1, 0)),
]
for k in range(1, 6):
    for stride in (1, 2, 3):
        OPERATIONS.append((
            f"max_pool2d kernel {k} stride {stride}",
            lambda x, k=k, stride=stride: F.max_pool2d(x, k, stride),
            [(2, 3, 6, 7)],
            lambda x, k=k, stride=stride: TF.max_pool2d(x, k, stride),
        ))
OPERATIONS += [
    ("max_pool2d own stride", lambda x: F.max_pool2d(x, 2), [(1, 2, 7, 6)], lambda x: TF.max_pool2d(x, 2)),
    ("conv, relu, pool", lambda x, w: F.max_pool2d(F.relu(conv(1, 1)(x, w)), 2), [(2, 3, 6, 7), (4, 3, 3, 3)],
     lambda x, w: TF.max_pool2d(torch.relu(torch_conv(1, 1)(x, w)), 2)),
]  # fmt: skip

table = pytest.mark.parametrize(
    ("ours", "shapes", "torchs"), [pytest.param(*row[1:], id=row[0]) for row in OPERATIONS]
)


def make_arrays(shapes, dtype):
    """Values from 0.1 to 1.5 in size, of both signs, none equal: no kink, no pole, no tie within 1e-4."""
    rng = np.random.default_rng(0)
    count = sum(int(np.prod(shape)) for shape in shapes)
    values = rng.permutation(np.linspace(0.1, 1.5, count)) * rng.choice([-1, 1], count)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    parts = np.split(values.astype(dtype), ends)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


@table
def test_value_and_gradients_equal_pytorch_in_float32(ours, shapes, torchs):
    arrays = make_arrays(shapes, np.float32)
    inputs = [Tensor(a, requires_grad=True) for a in arrays]
    twins = [torch.tensor(a, requires_grad=True) for a in arrays]  # copies
    out, expected = ours(*inputs), (torchs or ours)(*twins)
    assert out.shape == tuple(expected.shape) and out.dtype == np.float32
    assert relative_error(out.data, expected.detach().numpy()) < 1e-5
    weights = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
    out.backward(weights)
    expected.backward(torch.tensor(weights))
    for tensor, twin in zip(inputs, twins, strict=True):
        assert tensor.grad.dtype == np.float32
        assert relative_error(tensor.grad, twin.grad.numpy()) < 1e-5
        assert np.array_equal(tensor.data, twin.detach().numpy()), "an input was changed"


@table
def test_gradients_equal_numeric_ones_in_float64(ours, shapes, torchs):
    inputs = [Tensor(a, requires_grad=True) for a in make_arrays(shapes, np.float64)]
    check_gradients(ours, *inputs, rng=np.random.default_rng(2), tol=1e-6)
    assert all(t.grad.dtype == np.float64 and t.grad.shape == t.shape for t in inputs)


# --- operations with a rule of their own --------------------------------------------------------------


def convolve_by_loops(x, w, b, stride, padding):
    """Convolution as its definition says: seven loops."""
    n, channels, height, width = x.shape
    out, _, k, _ = w.shape
    padded = np.zeros((n, channels, height + 2 * padding, width + 2 * padding))
    padded[:, :, padding : padding + height, padding : padding + width] = x
    rows, columns = ((size + 2 * padding - k) // stride + 1 for size in (height, width))
    y = np.zeros((n, out, rows, columns))
    for m, o, i, j in np.ndindex(y.shape):
        y[m, o, i, j] = b[o]
        for c, u, v in np.ndindex(channels, k, k):
            y[m, o, i, j] += padded[m, c, i * stride + u, j * stride + v] * w[o, c, u, v]
    return y


@pytest.mark.parametrize(("k", "stride", "padding"), [(3, 1, 1), (2, 2, 0), (5, 3, 2)])
def test_conv2d_equals_loops(k, stride, padding):
    x, w, b = make_arrays([(2, 3, 6, 7), (4, 3, k, k), (4,)], np.float32)
    out = F.conv2d(Tensor(x), Tensor(w), Tensor(b), stride, padding)
    assert relative_error(out.data, convolve_by_loops(x, w, b, stride, padding)) < 1e-5


def test_conv2d_in_parts_equals_conv2d_at_once(monkeypatch):
    arrays = make_arrays([(7, 3, 6, 6), (4, 3, 3, 3), (4,)], np.float64)
    results = []
    for part in (1, 2**20):
        monkeypatch.setattr(F, "PART", part)
        inputs = [Tensor(a, requires_grad=True) for a in arrays]
        out = F.conv2d(*inputs, padding=1)
        out.backward(out.data)
        results.append([out.data, *[t.grad for t in inputs]])
    for a, b in zip(*results, strict=True):
        assert relative_error(a, b) < 1e-12


def test_max_pool2d_gives_a_tie_to_the_first_as_pytorch():
    x = np.zeros((2, 3, 6, 7), np.float32)
    tensor, twin = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    F.max_pool2d(tensor, 3, 2).sum().backward()
    TF.max_pool2d(twin, 3, 2).sum().backward()
    assert np.array_equal(tensor.grad, twin.grad.numpy())


def test_max_shares_the_gradient_of_a_tie():
    x = Tensor([[1.0, 3.0, 3.0]], requires_grad=True)
    x.max(axis=1).sum().backward()
    assert x.grad.tolist() == [[0, 0.5, 0.5]]


def test_relu_has_gradient_zero_at_zero():
    x = Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    F.relu(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 1]


def test_softmax_and_losses_stay_finite_for_huge_logits():
    x = Tensor(np.array([[1e4, 0, -1e4]], np.float32), requires_grad=True)
    assert F.softmax(x).data.tolist() == [[1, 0, 0]]
    loss = F.cross_entropy(x, [2])
    loss.backward()
    assert loss.item() == 2e4 and np.isfinite(x.grad).all()
    assert np.isfinite(F.sigmoid(Tensor([-1e4, 1e4])).data).all()


def test_dropout_keeps_the_mean_and_the_gradient_follows_the_mask():
    x = Tensor(np.ones((100, 70)), requires_grad=True)
    out = F.dropout(x, 0.3, np.random.default_rng(0))
    out.sum().backward()
    assert np.array_equal(x.grad, out.data)
    assert abs(out.data.mean() - 1) < 0.03 and abs((out.data == 0).mean() - 0.3) < 0.02


# --- the engine -----------------------------------------------------------------------------------------


def test_gradients_add_up_over_uses_and_over_backwards():
    x = Tensor([1.0, 2.0], requires_grad=True)
    (x * x + x).sum().backward()
    assert x.grad.tolist() == [3, 5]
    (x * 2).sum().backward()
    assert x.grad.tolist() == [5, 7]


def test_gradients_of_two_leaves_do_not_share_memory():
    a, b = Tensor([1.0], requires_grad=True), Tensor([2.0], requires_grad=True)
    (a + b).sum().backward()
    a.grad *= 5
    assert b.grad.tolist() == [1]


def test_a_graph_of_20000_operations_needs_no_recursion():
    x = y = Tensor([1.0], requires_grad=True)
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert x.grad.tolist() == [1]


def test_a_diamond_waits_for_both_branches():
    x = Tensor([2.0], requires_grad=True)
    a = x * 3
    b = a * a
    (b * a + b + a).sum().backward()  # 27 x³ + 9 x² + 3 x
    assert x.grad.tolist() == [81 * 4 + 18 * 2 + 3]


def test_backward_frees_the_graph_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        arrays = make_arrays([(2, 3, 6, 6), (4, 3, 3, 3)], np.float32)
        x, w = (Tensor(a, requires_grad=True) for a in arrays)
        hidden = F.max_pool2d(F.relu(F.conv2d(x, w, padding=1)), 2)
        loss = F.cross_entropy(hidden.flatten(1), [0, 1])
        seen = weakref.ref(hidden)
        del hidden
        assert seen() is not None, "the graph must hold it until backward"
        loss.backward()
        assert seen() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_no_grad_records_nothing_and_ends_after_an_error():
    x = Tensor([1.0], requires_grad=True)
    with no_grad():
        assert not (x * 2).requires_grad
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert (x * 2).requires_grad and not x.detach().requires_grad


def test_constants_get_no_gradient():
    x, c = Tensor([1.0], requires_grad=True), Tensor([2.0])
    (x * c).backward()
    assert c.grad is None and x.grad.tolist() == [2]


def test_dtypes_are_kept_and_python_numbers_become_float32():
    assert Tensor([1.0, 2.0]).dtype == np.float32 and Tensor(0.5).dtype == np.float32
    assert Tensor([1, 2]).dtype == np.int64
    assert Tensor(np.float64(0.5)).dtype == np.float64
    assert (Tensor(0.5) * np.float64(2) + 1).dtype == np.float32
    assert (np.ones(2, np.float32) * Tensor([1.0, 2.0])).data.tolist() == [1, 2]
    assert (np.ones((3, 2), np.float32) @ Tensor([1.0, 2.0])).data.tolist() == [3, 3, 3]


def test_a_tensor_can_be_looked_at():
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    assert (x.shape, x.ndim, x.size, len(x), x[0, 1].item()) == ((1, 2), 2, 2, 1, 2)
    assert repr(x) == "Tensor([[1., 2.]], requires_grad=True)"
    assert repr(x * 2) == "Tensor([[2., 4.]], op=mul)" and repr(x.detach()) == "Tensor([[1., 2.]])"
    assert [row.data.tolist() for row in x] == [[1, 2]] and x.numpy() is x.data


# --- errors: argument, value, rule, remedy ---------------------------------------------------------------


def ones(*shape, dtype=np.float32):
    return Tensor(np.ones(shape, dtype), requires_grad=np.dtype(dtype).kind == "f")


def backward_twice():
    loss = (ones(2) * 2).sum()
    loss.backward()
    loss.backward()


ERRORS = [
    ("backward twice", backward_twice, RuntimeError, "'sum' a second time.*freed.*compute the result again"),
    ("backward of a vector", lambda: (ones(2) * 2).backward(), ValueError, r"shape \(2,\).*\.sum\(\)"),
    ("backward without a graph", lambda: Tensor(1.0).backward(), RuntimeError, "requires_grad=True"),
    ("wrong first gradient", lambda: (ones(2) * 2).backward(np.ones(3)),
     ValueError, r"\(3,\).*\(2,\).*one number"),
    ("wrong rule",
     lambda: operation("bad", np.ones(2), (ones(2), lambda g: g[:1].repeat(3))).sum().backward(),
     RuntimeError, r"'bad' returned shape \(3,\).*\(2,\).*correct the rule"),
    ("mixed dtypes", lambda: ones(2) * ones(2, dtype=np.float64),
     TypeError, "mul.*float32 and float64.*astype"),
    ("mixed with an array", lambda: ones(2) * np.ones(2), TypeError, "mul.*float32 and float64.*astype"),
    ("gradient of integers", lambda: Tensor([1, 2], requires_grad=True), TypeError, "int64.*2.0"),
    ("no numbers", lambda: Tensor("abc"), TypeError, "'abc'.*holds numbers"),
    ("broadcast", lambda: ones(2, 3) + ones(2), ValueError, r"add.*\(2, 3\) and \(2,\).*reshape"),
    ("matmul", lambda: ones(2, 3) @ ones(2, 3), ValueError, r"matmul.*\(2, 3\) and \(2, 3\).*transpose"),
    ("power", lambda: ones(2) ** "2", TypeError, "exponent is a str.*number"),
    ("axis", lambda: ones(2, 3).sum(axis=2), ValueError, r"axis=2.*\(2, 3\).*axes 0 to 1"),
    ("linear", lambda: F.linear(ones(2, 3), ones(7, 6)), ValueError, r"\(2, 3\).*\(7, 6\).*flatten"),
    ("linear bias", lambda: F.linear(ones(2, 3), ones(7, 3), ones(3)), ValueError, r"bias.*\(7,\)"),
    ("channels", lambda: F.conv2d(ones(2, 7, 7, 3), ones(4, 3, 3, 3)),
     ValueError, "7 channels.*expects 3.*permute"),
    ("one image", lambda: F.conv2d(ones(3, 7, 7), ones(4, 3, 3, 3)), ValueError, r"\(3, 7, 7\).*reshape\(1"),
    ("kernel", lambda: F.conv2d(ones(2, 3, 2, 6), ones(4, 3, 3, 3)),
     ValueError, "3 × 3.*2 × 6.*smaller kernel"),
    ("stride", lambda: F.conv2d(ones(2, 3, 6, 6), ones(4, 3, 3, 3), stride=0),
     ValueError, "stride=0.*at least 1"),
    ("padding", lambda: F.conv2d(ones(2, 3, 6, 6), ones(4, 3, 3, 3), padding=-1),
     ValueError, "padding=-1.*least 0"),
    ("conv bias", lambda: F.conv2d(ones(2, 3, 6, 6), ones(4, 3, 3, 3), ones(3)), ValueError, r"bias.*\(4,\)"),
    ("empty pool", lambda: F.max_pool2d(ones(2, 3, 1, 6), 2), ValueError, "2 × 2.*1 × 6.*empty.*smaller"),
    ("pool kernel", lambda: F.max_pool2d(ones(2, 3, 6, 6), 1.5), ValueError, "kernel_size=1.5.*whole"),
    ("pool shape", lambda: F.max_pool2d(ones(3, 6, 6), 2), ValueError, r"\(3, 6, 6\).*reshape\(1"),
    ("label too large", lambda: F.cross_entropy(ones(3, 7), [0, 7, 1]),
     ValueError, "hold 7.*7 classes.*0 to 6.*last"),
    ("label negative", lambda: F.cross_entropy(ones(3, 7), [0, -1, 1]), ValueError, "hold -1.*0 to 6"),
    ("float labels", lambda: F.cross_entropy(ones(3, 7), np.ones(3)), TypeError, "float64.*whole.*astype"),
    ("one-hot labels", lambda: F.cross_entropy(ones(3, 7), np.eye(3, 7)), ValueError, r"\(3, 7\).*argmax"),
    ("no labels", lambda: F.cross_entropy(ones(0, 7), np.zeros(0, int)), ValueError, "nothing.*7 classes"),
    ("mse shapes", lambda: F.mse_loss(ones(3, 1), ones(3)), ValueError, r"\(3, 1\).*\(3,\).*reshape"),
    ("dropout", lambda: F.dropout(ones(3), 1.0, np.random.default_rng(0)), ValueError, "p=1.0.*below 1"),
    ("gradcheck dtype", lambda: numeric_gradient(np.sum, np.ones(2, np.float32)),
     ValueError, "float32.*astype"),
    ("gradcheck vector", lambda: numeric_gradient(np.exp, np.ones(2)), ValueError, "one real number.*sum"),
    ("gradcheck nan", lambda: numeric_gradient(lambda x: np.nan, np.ones(2)), ValueError, "nan.*finite"),
    ("gradcheck shapes", lambda: relative_error(np.ones(2), np.ones((2, 1))), ValueError, "one shape"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), [pytest.param(*row[1:], id=row[0]) for row in ERRORS])
def test_an_error_names_value_rule_and_remedy(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- the gradient check itself ----------------------------------------------------------------------------


def test_numeric_gradient_of_a_cube_and_x_unchanged():
    x = np.array([[1.0, 2.0, -3.0]])
    assert relative_error(numeric_gradient(lambda a: (a**3).sum(), x), 3 * x**2) < 1e-8
    assert x.tolist() == [[1, 2, -3]]


@pytest.mark.parametrize("wrong", [lambda g: g * 0, lambda g: -g, lambda g: g * 1.001])
def test_check_gradients_finds_a_wrong_rule(wrong):
    def tripled(x):
        return operation("tripled", 3 * x.data, (x, lambda g: wrong(3 * g)))

    with pytest.raises(AssertionError, match=r"input 0, element \(.*look at the gradient rule"):
        check_gradients(tripled, Tensor(np.ones((2, 3)), requires_grad=True), rng=np.random.default_rng(0))
