"""The committed data, its loaders and its data card agree, and a broken file is refused with a remedy."""
import csv
import hashlib
import io
import pickle
import re
import shutil
import socket
import tarfile

import numpy as np
import pytest

from helpers import data

CLASSES = {"digits": 10, "latin": 62, "greek": 30, "cyrillic": 35, "han": 60}
GROUPS = {"sans", "serif", "mono", "handwriting", "display"}


def fonts():
    with open(data.DATA / "fonts.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def card():
    return (data.DATA / "README.md").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------ characters

@pytest.mark.parametrize("alphabet", data.ALPHABETS)
@pytest.mark.parametrize("split", data.SPLITS)
def test_every_class_of_an_alphabet_has_the_same_number_of_images(alphabet, split):
    images, labels = data.load_characters(alphabet, split, colour=False)
    counts = np.bincount(labels)
    assert len(counts) == CLASSES[alphabet] == len(data.class_names(alphabet))
    assert images.shape == (len(labels), 1, 32, 32)
    assert counts.min() >= 10
    if alphabet != "latin":                       # in latin the digits have more images than the letters
        assert counts.min() == counts.max()
    if split == "train":
        assert counts.min() >= 20                 # chapter 09 takes up to 20 a class


@pytest.mark.parametrize(("colour", "channels"), [(True, 3), (False, 1)])
def test_images_are_contiguous_float32_between_0_and_1(colour, channels):
    images, labels = data.load_characters("greek", "val", colour=colour)
    assert images.shape[1:] == (channels, 32, 32)
    assert images.dtype == np.float32 and labels.dtype == np.int64
    assert images.flags.c_contiguous
    assert images.min() >= 0 and images.max() <= 1


def test_grey_images_are_ink_1_on_paper_0():
    images, _ = data.load_characters("latin", "test", colour=False)
    assert images.max(axis=(1, 2, 3)).min() > 0.3                       # even the thinnest stroke leaves ink
    assert (images == 0).mean() > 0.7                                   # most of the square is paper
    border = np.concatenate([images[:, 0, [0, -1], :], images[:, 0, :, [0, -1]].swapaxes(0, 1)], axis=1)
    assert (border > 0.5).mean() < 0.01                                 # letters are not cut off by the edge


def test_digits_are_the_first_ten_classes_of_latin():
    digits, digit_labels = data.load_characters("digits", "val", colour=False)
    latin, labels = data.load_characters("latin", "val", colour=False)
    assert np.array_equal(digits, latin[labels < 10])
    assert np.array_equal(digit_labels, labels[labels < 10])
    assert data.class_names("digits") == list("0123456789") == data.class_names("latin")[:10]


def test_class_names_are_single_different_characters():
    for alphabet in data.ALPHABETS:
        names = data.class_names(alphabet)
        assert len(set(names)) == len(names) and all(len(name) == 1 for name in names)
    assert not set(data.class_names("greek")) & set(data.class_names("latin"))


def test_no_family_and_no_superfamily_is_in_two_splits():
    families = {split: {str(family) for alphabet in data.ALPHABETS
                        for family in data.character_families(alphabet, split)[0]}
                for split in data.SPLITS}
    assert not families["train"] & families["val"]
    assert not families["train"] & families["test"]
    assert not families["val"] & families["test"]
    of_family = {row["family"]: row["superfamily"] for row in fonts()}
    splits_of = {}
    for split, names in families.items():
        for name in names:
            splits_of.setdefault(of_family[name], set()).add(split)
    assert all(len(splits) == 1 for splits in splits_of.values())


def test_every_split_has_families_of_every_group():
    for split, least in (("train", 60), ("val", 15), ("test", 20)):
        families, groups = data.character_families("latin", split)
        assert len(np.unique(families)) >= least
        assert set(groups) == GROUPS
        assert len(groups) == len(families) == len(data.load_characters("latin", split, colour=False)[1])


def test_the_list_of_fonts_says_what_the_file_says():
    by_family = {row["family"]: row for row in fonts()}
    assert len(by_family) == len(fonts())
    for alphabet in ("latin", "greek", "cyrillic", "han"):
        listed = {row["family"] for row in fonts() if alphabet in row["alphabets"].split()}
        drawn = set()
        for split in data.SPLITS:
            for family, group in set(zip(*data.character_families(alphabet, split), strict=True)):
                assert (by_family[family]["group"], by_family[family]["split"]) == (group, split)
                drawn.add(family)
        assert drawn == listed
    assert {row["licence"] for row in fonts()} <= {"OFL-1.1", "Apache-2.0", "UFL-1.0"}


# --------------------------------------------------------------------------------------------------- colours

def test_colours_follow_from_the_seed():
    first, _ = data.load_characters("digits", "val", seed=3)
    again, _ = data.load_characters("digits", "val", seed=3)
    other, _ = data.load_characters("digits", "val", seed=4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_paint_is_what_load_characters_paints_with():
    ink, _ = data.load_characters("greek", "val", colour=False)
    painted, _ = data.load_characters("greek", "val", seed=3)
    rng = np.random.default_rng([3, data.ALPHABETS.index("greek"), data.SPLITS.index("val")])
    assert np.array_equal(data.paint(ink, rng), painted)


def test_few_shot_takes_different_examples_of_each_class_and_others_for_another_seed():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 3, 7], [4, 6, 2]))
    rows = data.few_shot(labels, 2, np.random.default_rng(1))
    assert labels[rows].tolist() == [0, 0, 3, 3, 7, 7]
    assert len(set(rows.tolist())) == 6
    assert np.array_equal(rows, data.few_shot(labels, 2, np.random.default_rng(1)))
    assert not np.array_equal(rows, data.few_shot(labels, 2, np.random.default_rng(2)))


def test_few_shot_can_reach_every_example():
    labels = np.repeat([0, 1], [5, 3])
    drawn = [data.few_shot(labels, 2, np.random.default_rng(seed)) for seed in range(40)]
    assert set(np.concatenate(drawn).tolist()) == set(range(8))


@pytest.mark.parametrize(
    "labels, shots, message",
    [
        ([0, 0, 1], 2, "class 1 has 1 example"),
        ([0, 0, 1], 0, "shots=0"),
        ([0, 0, 1], 1.5, "shots=1.5"),
        ([], 1, r"shape \(0,\)"),
        ([[0, 1]], 1, r"shape \(1, 2\)"),
    ],
)
def test_few_shot_says_what_it_cannot_draw(labels, shots, message):
    with pytest.raises(ValueError, match=message):
        data.few_shot(labels, shots, np.random.default_rng(0))


def test_ink_and_paper_differ_in_luminance_in_both_directions():
    grey = data.load_characters("digits", "train", colour=False)[0][:, 0]
    images = data.load_characters("digits", "train")[0]
    rows = np.flatnonzero(grey.reshape(len(grey), -1).max(axis=1) == 1)
    brightest = grey.reshape(len(grey), -1).argmax(axis=1)
    flat = images.reshape(len(images), 3, -1)
    ink = flat[rows, :, brightest[rows]] @ data.LUMINANCE
    paper = flat[rows, :, 0] @ data.LUMINANCE
    assert len(rows) > 0.8 * len(grey)
    assert np.abs(ink - paper).min() > data.LEAST_CONTRAST - 1e-5
    assert 0.45 < (ink > paper).mean() < 0.55


# ---------------------------------------------------------------------------------------------- broken files

@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the data folder that a test may break."""
    shutil.copy(data.DATA / "characters.npz", tmp_path)
    monkeypatch.setattr(data, "DATA", tmp_path)
    yield tmp_path
    data._read_characters.cache_clear()


def test_a_whole_copy_loads(folder):
    assert len(data.load_characters("han", "val", colour=False)[0])


def test_a_missing_file_is_named_with_its_checksum_and_the_remedy(folder):
    (folder / "characters.npz").unlink()
    with pytest.raises(FileNotFoundError) as error:
        data.load_characters()
    for fact in (str(folder / "characters.npz"), "missing", data.CHARACTERS_SHA256,
                 "git checkout -- data/characters.npz", "python data/build_characters.py"):
        assert fact in str(error.value)


def cut_off(content):
    return content[:len(content) // 2]


def altered(content):
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


def emptied(content):
    return b""


@pytest.mark.parametrize("damage", [cut_off, altered, emptied])
def test_a_broken_file_is_named_with_both_checksums_and_the_remedy(folder, damage):
    path = folder / "characters.npz"
    broken = damage(path.read_bytes())
    path.write_bytes(broken)
    with pytest.raises(OSError) as error:
        data.load_characters()
    for fact in (str(path), "cut off or altered", data.CHARACTERS_SHA256, hashlib.sha256(broken).hexdigest(),
                 "git checkout -- data/characters.npz", "python data/build_characters.py"):
        assert fact in str(error.value)


def test_unknown_names_are_answered_with_the_names_allowed():
    with pytest.raises(ValueError, match=r"alphabet='latn' is unknown; choose one of 'digits', 'latin', "):
        data.load_characters("latn")
    with pytest.raises(ValueError, match=r"split='validation' is unknown; choose one of 'train', 'val'"):
        data.load_characters("digits", "validation")
    with pytest.raises(ValueError, match=r"alphabet='arabic'.*'cifar10'"):
        data.class_names("arabic")
    with pytest.raises(ValueError, match="split='all'"):
        data.character_families("digits", "all")
    with pytest.raises(ValueError, match=r"split='dev'.*'all', 'train'"):
        data.load_digits("dev")
    with pytest.raises(ValueError, match=r"split='val'.*'train', 'test'"):
        data.load_cifar10("val")


# ---------------------------------------------------------------------------------------- handwritten digits

def test_handwritten_digits_come_in_balanced_fixed_splits():
    everything, all_labels = data.load_digits()
    parts = {split: data.load_digits(split) for split in data.SPLITS}
    assert everything.shape == (1797, 8, 8) and everything.dtype == np.float32
    assert all_labels.dtype == np.int64
    assert everything.min() == 0 and everything.max() == 1
    assert [len(parts[split][0]) for split in data.SPLITS] == [1197, 300, 300]
    share = np.bincount(all_labels) / len(all_labels)
    for _, labels in parts.values():
        assert np.abs(np.bincount(labels) - share * len(labels)).max() < 2
        assert not np.all(np.diff(labels) >= 0)                         # shuffled, not sorted by class
    together = np.concatenate([images for images, _ in parts.values()])
    assert sorted(map(bytes, together)) == sorted(map(bytes, everything))
    assert np.array_equal(data.load_digits("test")[1], parts["test"][1])


# -------------------------------------------------------------------------------------------------- CIFAR-10

@pytest.fixture
def tiny_cifar10(tmp_path, monkeypatch):
    """An archive in CIFAR-10's own format with 3 images a file, and torchvision made to expect it."""
    datasets = pytest.importorskip("torchvision.datasets")
    rng = np.random.default_rng(0)
    batches = {name: {"data": rng.integers(0, 256, (3, 3072), dtype=np.uint8), "labels": [2, 0, 9]}
               for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]}
    names = datasets.CIFAR10.meta["filename"]
    files = {name: pickle.dumps(batch) for name, batch in batches.items()}
    files[names] = pickle.dumps({"label_names": list(data.CIFAR10_CLASSES)})
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    archive = tmp_path / datasets.CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{datasets.CIFAR10.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    expected = {"train_list": [[name, md5[name]] for name in batches if name != "test_batch"],
                "test_list": [["test_batch", md5["test_batch"]]],
                "meta": {"filename": names, "key": "label_names", "md5": md5[names]},
                "tgz_md5": hashlib.md5(archive.read_bytes()).hexdigest()}
    for attribute, value in expected.items():
        monkeypatch.setattr(datasets.CIFAR10, attribute, value)
    return archive, batches


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("the network is off in this test")
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_cifar10_is_read_from_an_archive_put_in_the_folder(tiny_cifar10, no_network):
    archive, batches = tiny_cifar10
    images, labels = data.load_cifar10("test", root=archive.parent, download=False)
    assert images.shape == (3, 3, 32, 32) and images.dtype == np.float32 and images.flags.c_contiguous
    assert np.array_equal(images, batches["test_batch"]["data"].reshape(3, 3, 32, 32) / np.float32(255))
    assert labels.dtype == np.int64 and labels.tolist() == [2, 0, 9]
    assert [data.class_names("cifar10")[label] for label in labels] == ["bird", "airplane", "truck"]


def test_cifar10_already_unpacked_needs_neither_archive_nor_network(tiny_cifar10, no_network):
    archive, _ = tiny_cifar10
    data.load_cifar10("test", root=archive.parent)
    archive.unlink()
    images, _ = data.load_cifar10("train", root=archive.parent)
    assert images.shape == (15, 3, 32, 32)
    assert [path.name for path in archive.parent.iterdir()] == ["cifar-10-batches-py"]     # and no scratch


@pytest.mark.parametrize("download", [True, False])
def test_cifar10_offline_says_what_to_fetch_and_where_to_put_it(tmp_path, no_network, download):
    pytest.importorskip("torchvision")
    with pytest.raises(OSError) as error:
        data.load_cifar10(root=tmp_path / "data", download=download)
    for fact in ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", str(tmp_path / "data")):
        assert fact in str(error.value)
    assert not list(tmp_path.glob("data/*"))


def test_a_cut_off_cifar10_archive_is_refused_and_leaves_nothing(tiny_cifar10, no_network):
    archive, _ = tiny_cifar10
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(OSError, match=r"MD5 [0-9a-f]{32}"):
        data.load_cifar10(root=archive.parent)
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


# ------------------------------------------------------------------------------------------------- data card

def test_the_data_card_states_the_checksum_and_the_size_of_the_file():
    content = (data.DATA / "characters.npz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == data.CHARACTERS_SHA256
    assert data.CHARACTERS_SHA256 in card()
    assert f"{len(content):,} bytes" in card()
    assert len(content) <= 10_000_000


@pytest.mark.parametrize("alphabet", data.ALPHABETS)
def test_the_data_card_states_the_counts_of_each_alphabet(alphabet):
    cells = [alphabet, str(CLASSES[alphabet])]
    for split in data.SPLITS:
        families, _ = data.character_families(alphabet, split)
        cells.append(f"{len(families):,} ({len(np.unique(families))})")
    assert "| " + " | ".join(cells) + " |" in card()


def test_the_data_card_lists_every_family_with_its_origin():
    for row in fonts():
        name = re.escape(row["package"].split("/")[1])
        line = re.search(rf"^\|.*`{name}` \| {re.escape(row['version'])} \|.*$", card(), re.MULTILINE)
        assert line, row["family"]
        for fact in (row["family"], row["group"], row["licence"], row["split"]):
            assert f" {fact} |" in line[0]


def test_splits_share_no_colours_at_the_same_place():
    """With one sequence of colours for all splits, the colour of image i would give its class away."""
    train, labels = data.load_characters("digits", "train")
    test, answers = data.load_characters("digits", "test")
    assert np.array_equal(labels[:60], answers[:60])  # sorted alike: this is how colours could tell
    corners = [images[:60, :, 0, 0] for images in (train, test)]
    assert np.abs(corners[0] - corners[1]).max(axis=1).min() > 1e-6
