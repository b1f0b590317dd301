"""Committed and downloadable data as arrays.

Images are (N, C, H, W), float32 in [0, 1]; labels are (N,) int64, counted from 0 within their alphabet.
"""

import hashlib
import io
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from urllib.error import URLError

import numpy as np

DATA = Path(__file__).resolve().parent.parent / "data"
CHARACTERS_SHA256 = "8c4b717699f8e1929d33a095676fa5457bac5a997fa128f1d905d54b387d04af"
WEIGHTS_SHA256 = {"characters_cnn": "c3828cf81d511771a9efb050774f4f3f62e00f3e2b50c3f723b22f60a0a51e1c"}
ALPHABETS = ("digits", "latin", "greek", "cyrillic", "han")
SPLITS = ("train", "val", "test")
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green, blue (Rec. 601, 1982)
LEAST_CONTRAST = 0.5  # between the luminance of ink and paper
DIGITS_SEED, DIGITS_VAL, DIGITS_TEST = 0, 300, 300


def _choose(name, value, allowed):
    """The value if it is one of those allowed; else a ValueError that lists them."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(map(repr, allowed))}")
    return value


# ---------------------------------------------------------------------------------------- printed characters


def load_characters(alphabet="digits", split="train", colour=True, seed=0):
    """Printed characters: → images (N, 3, 32, 32), or (N, 1, 32, 32) without colour, and labels (N,).

    Images are float32 in [0, 1], C-contiguous. In grey, ink is 1 and paper 0. With `colour`, each image
    gets its own pair of colours from `seed`, about half of them dark on light and half light on dark; the
    luminance of ink and paper differs by at least 0.5, so a person can read them all. Labels are int64
    positions in `class_names(alphabet)`. Images are sorted by family, then class: shuffle before you train.

    `alphabet` is "digits" (10 classes), "latin" (62, with the digits), "greek", "cyrillic" or "han". No
    font family is in two of the splits "train", "val", "test".

    Raises ValueError for an unknown name, FileNotFoundError where characters.npz is missing and OSError
    where it is cut off or altered. Source: free fonts, listed in data/README.md (2026).
    """
    arrays, rows = _characters(), _rows(alphabet, split)
    ink = arrays["images"][rows, None] / np.float32(255)  # (N, 1, 32, 32)
    labels = arrays["label"][rows].astype(np.int64)
    # Each split draws its own colours: with shared ones, sorted alike, a colour would give the class away.
    rng = np.random.default_rng([seed, ALPHABETS.index(alphabet), SPLITS.index(split)])
    return (paint(ink, rng) if colour else ink), labels


def class_names(alphabet):
    """Names of the classes, in the order of the labels: → list of K str. Takes an alphabet or "cifar10"."""
    _choose("alphabet", alphabet, ALPHABETS + ("cifar10",))
    if alphabet == "cifar10":
        return list(CIFAR10_CLASSES)
    arrays, name = _characters(), "latin" if alphabet == "digits" else alphabet
    names = list(str(arrays["classes"][list(arrays["alphabets"]).index(name)]))
    return names[:10] if alphabet == "digits" else names


def character_families(alphabet="digits", split="train"):
    """Font family and group of each image of `load_characters`: → two arrays (N,) of str, in the same order.

    The groups are "sans", "serif", "mono", "handwriting" and "display". Raises as `load_characters` does.
    """
    arrays, rows = _characters(), _rows(alphabet, split)
    family = arrays["family"][rows]
    return arrays["families"][family], arrays["groups"][family]


def _rows(alphabet, split):
    """Which images belong to an alphabet and a split: → indices (N,)."""
    _choose("alphabet", alphabet, ALPHABETS)
    _choose("split", split, SPLITS)
    arrays = _characters()
    name = "latin" if alphabet == "digits" else alphabet
    chosen = arrays["alphabet"] == list(arrays["alphabets"]).index(name)
    chosen &= arrays["splits"][arrays["family"]] == split
    if alphabet == "digits":
        chosen &= arrays["label"] < 10
    return np.flatnonzero(chosen)


def few_shot(labels, shots, rng):
    """Which examples to keep, `shots` of each class: labels (N,) → indices (K·shots,), class after class.

    Raises ValueError where shots is not a whole number from 1 on, or a class has fewer examples.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels has shape {labels.shape}: it must be (N,), one class number an example")
    if not isinstance(shots, (int, np.integer)) or shots < 1:
        raise ValueError(f"shots={shots!r}: it must be a whole number, at least 1; 5 is usual")
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < shots:
        raise ValueError(
            f"shots={shots}, but class {classes[counts.argmin()]} has {counts.min()} examples: "
            "ask for fewer, or leave the class out"
        )
    return np.concatenate([rng.choice(np.flatnonzero(labels == k), shots, replace=False) for k in classes])


def paint(ink, rng):
    """Ink (N, 1, H, W) in [0, 1] → images (N, 3, H, W), each in its own colours of ink and paper.

    `load_characters` paints like this; for fresh colours in each batch, paint its grey images yourself.
    """
    dark, light = _colour_pairs(len(ink), rng)
    swap = rng.random(len(ink)) < 0.5
    front = np.where(swap[:, None], light, dark)[:, :, None, None]  # (N, 3, 1, 1)
    paper = np.where(swap[:, None], dark, light)[:, :, None, None]  # (N, 3, 1, 1)
    return (1 - ink) * paper + ink * front  # never leaves [0, 1]


def _colour_pairs(count, rng):
    """Random pairs of colours, far enough apart in luminance: → dark (N, 3), light (N, 3), float32.

    Pairs too close to each other are drawn again, so that every hue remains possible.
    """
    pairs = np.empty((count, 2, 3), np.float32)
    open_rows = np.arange(count)
    while len(open_rows):
        pairs[open_rows] = rng.random((len(open_rows), 2, 3), dtype=np.float32)
        contrast = np.abs((pairs[open_rows, 0] - pairs[open_rows, 1]) @ LUMINANCE)
        open_rows = open_rows[contrast < LEAST_CONTRAST]
    order = np.argsort(pairs @ LUMINANCE, axis=1)[:, :, None]  # (N, 2, 1), the darker one first
    pairs = np.take_along_axis(pairs, order, axis=1)
    return pairs[:, 0], pairs[:, 1]


def _characters():
    """The arrays of data/characters.npz, read and verified once per process."""
    return _read_characters(DATA / "characters.npz")


@lru_cache(maxsize=1)
def _read_characters(path):
    """The arrays of the file at `path`, after its checksum was found right."""
    remedy = (
        f"Restore it with `git checkout -- data/{path.name}`, "
        "or draw it again with `python data/build_characters.py`."
    )
    with np.load(io.BytesIO(_verified(path, CHARACTERS_SHA256, remedy))) as file:
        return {name: file[name] for name in file.files}


def _verified(path, sha256, remedy):
    """The bytes of the file at `path`; an error with the remedy where it is missing or another file."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. It should have SHA-256 {sha256}. {remedy}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise OSError(
            f"{path} is cut off or altered: its SHA-256 is {found}. It should have SHA-256 {sha256}. {remedy}"
        )
    return content


# ---------------------------------------------------------------------------------------- handwritten digits


def load_digits(split="all"):
    """Handwritten digits: → images (N, 8, 8) float32 in [0, 1], labels (N,) int64.

    1,797 scans of digits; `split` "train" has 1,197 of them, "val" 300, "test" 300, "all" every one. The
    splits are a fixed permutation in which each class keeps its share. The scans do not say who wrote them,
    so the same writer may be in two splits: a score on "test" is a little better than on a stranger's hand.

    Source: scikit-learn's copy of the test part of "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, Alpaydin & Kaynak (1998). Raises ValueError for an unknown split.
    """
    _choose("split", split, ("all",) + SPLITS)
    from sklearn.datasets import load_digits as load_scans

    scans = load_scans()
    images = (scans.images / 16).astype(np.float32)
    labels = scans.target.astype(np.int64)
    rows = np.arange(len(labels)) if split == "all" else _digit_rows(labels)[split]
    return images[rows], labels[rows]


def _digit_rows(labels):
    """Rows of each split, every class in its share: dict split → indices, shuffled."""
    rng = np.random.default_rng(DIGITS_SEED)
    rank = np.empty(len(labels))
    for label in range(10):
        rows = np.flatnonzero(labels == label)
        rank[rows] = (rng.permutation(len(rows)) + rng.random()) / len(rows)  # evenly over 0..1
    order = np.argsort(rank, kind="stable")
    parts = np.split(order, [DIGITS_TEST, DIGITS_TEST + DIGITS_VAL])
    return {split: rng.permutation(part) for split, part in zip(("test", "val", "train"), parts, strict=True)}


# -------------------------------------------------------------------------------------------------- CIFAR-10


def load_cifar10(split="train", root=None, download=True):
    """CIFAR-10 photographs: → images (N, 3, 32, 32) float32 in [0, 1], labels (N,) int64.

    `split` is "train" (50,000 images) or "test" (10,000). The files lie in `root`, by default the course's
    data folder; where they are there, nothing is fetched. Otherwise, with `download`, 170 MB are fetched
    once.

    Source: Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images. Raises ValueError for
    an unknown split and OSError, with what to fetch and where to put it, where the files are neither there
    nor to be had.
    """
    _choose("split", split, ("train", "test"))
    from torchvision.datasets import CIFAR10

    root = Path(DATA if root is None else root)
    dataset = _open_cifar10(CIFAR10, root, split)
    if dataset is None:
        _fetch_cifar10(CIFAR10, root, download)
        dataset = _open_cifar10(CIFAR10, root, split)
    images = np.ascontiguousarray(dataset.data.transpose(0, 3, 1, 2))  # (N, 3, 32, 32)
    return images / np.float32(255), np.array(dataset.targets, np.int64)


def _open_cifar10(dataset_class, root, split):
    """The dataset, or None where its files are not there or not whole."""
    try:
        return dataset_class(root, train=split == "train", download=False)
    except RuntimeError:
        return None


def _fetch_cifar10(dataset_class, root, download):
    """Put the unpacked files into `root`, from the archive there or from the net; whole or not at all."""
    archive, folder = root / dataset_class.filename, dataset_class.base_folder
    advice = (
        f"Fetch {dataset_class.filename} (MD5 {dataset_class.tgz_md5}) from the page of CIFAR-10, "
        f"put it at {archive} and run this again."
    )
    if not download and not archive.exists():
        raise FileNotFoundError(f"CIFAR-10 is not in {root}. {advice}")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix="cifar-10-") as waiting:
        if archive.exists():
            shutil.copy(archive, waiting)  # torchvision checks its MD5, then unpacks it
        try:
            dataset_class(waiting, download=True)
        except (URLError, OSError, RuntimeError) as error:
            raise OSError(f"CIFAR-10 could not be fetched ({error}). {advice}") from error
        shutil.rmtree(root / folder, ignore_errors=True)  # what is left of a broken copy
        os.replace(Path(waiting) / folder, root / folder)


# ------------------------------------------------------------------------------------------- trained weights


def load_weights(name="characters_cnn"):
    """The weights of a trained network in data/: → dict, parameter's name → float32 array.

    "characters_cnn" is SimpleCNN with 62 classes, trained on the Latin characters; its card is in
    data/README.md. Both frameworks take the names and shapes: ours by `load_state_dict(weights)`, PyTorch's
    after `torch.from_numpy` of each array.

    Raises ValueError for an unknown name, FileNotFoundError where the file is missing and OSError where it
    is cut off or altered.
    """
    _choose("name", name, tuple(WEIGHTS_SHA256))
    from safetensors.numpy import load

    path = DATA / f"{name}.safetensors"
    remedy = f"Restore it with `git checkout -- data/{path.name}`."
    return {key: array.copy() for key, array in load(_verified(path, WEIGHTS_SHA256[name], remedy)).items()}


# --------------------------------------------------------------------------------------------------- batches


class DataLoader:
    """Batches of arrays of one length: each round gives tuples of arrays, (images, labels) for two.

    shuffle=True puts the examples in a new order every round, drawn from `rng`; drop_last leaves out a last
    batch that is smaller. Raises ValueError where the lengths differ, batch_size is below 1, or shuffle has
    no rng.
    """

    def __init__(self, *arrays, batch_size, shuffle=False, rng=None, drop_last=False):
        lengths = [len(array) for array in arrays]
        if len(set(lengths)) != 1:
            raise ValueError(
                f"arrays have lengths {lengths}: pass arrays with one entry an example, of one length"
            )
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r}: it must be a whole number, at least 1; 64 is usual")
        if shuffle and rng is None:
            raise ValueError(
                "shuffle=True with rng=None: pass rng=np.random.default_rng(0), or shuffle=False"
            )
        self.arrays, self.batch_size, self.drop_last = arrays, batch_size, drop_last
        self.rng = rng if shuffle else None

    def __len__(self):
        """The number of batches in a round."""
        whole, rest = divmod(len(self.arrays[0]), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        count = len(self.arrays[0])
        order = np.arange(count) if self.rng is None else self.rng.permutation(count)
        for batch in range(len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield tuple(array[chosen] for array in self.arrays)
