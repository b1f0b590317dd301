"""Chapter 07's switch: its ten-class cells run on CIFAR-10 too, from a local archive, with no network."""

import hashlib
import io
import pickle
import re
import socket
import tarfile

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from helpers import data
from tests.notebooks import ROOT, code

CHAPTER = ROOT / "notebooks" / "07_pytorch_cnn.ipynb"
PER_FILE = 150  # images in each of the six files; the real ones hold 10,000


@pytest.fixture
def small_cifar10(tmp_path, monkeypatch):
    """An archive in CIFAR-10's own format in the data folder: class k is a noisy picture of colour k."""
    rng = np.random.default_rng(0)
    colours = rng.permutation(np.stack(np.meshgrid([40, 210], [40, 125, 210], [40, 210]), -1).reshape(-1, 3))
    files = {}
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        labels = rng.integers(0, 10, PER_FILE)
        noisy = colours[labels][:, :, None] + rng.integers(-30, 31, (PER_FILE, 3, 1024))
        pixels = noisy.astype(np.uint8).reshape(PER_FILE, 3072)
        files[name] = pickle.dumps({"data": pixels, "labels": labels.tolist()})
    names = CIFAR10.meta["filename"]
    files[names] = pickle.dumps({"label_names": list(data.CIFAR10_CLASSES)})
    archive = tmp_path / "data" / CIFAR10.filename
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in files if "data_" in name])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": names, "key": "label_names", "md5": md5[names]})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(data, "DATA", archive.parent)  # where no characters lie: a cell that reads them fails
    return archive


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("the network is off in this test")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def ten_class_cells(dataset):
    """(id, source) of the set-up, of the network and of the cells from the switch on, set to `dataset`."""
    cells = [(cell["id"], cell["source"]) for cell in code(CHAPTER) if not cell["id"].startswith("ex-")]
    ids = [cell_id for cell_id, _ in cells]
    switched = cells[ids.index("dataset") : ids.index("files") + 1]
    text = switched[0][1]
    assert text.count('DATASET = "digits"  # or "cifar10"') == 1
    switched[0] = ("dataset", text.replace('DATASET = "digits"', f'DATASET = "{dataset}"'))
    return [cells[ids.index("setup")], cells[ids.index("network")], *switched]


def test_no_cell_after_the_switch_speaks_of_one_data_set():
    for cell_id, source in ten_class_cells("digits")[3:]:
        assert not re.search(r"DATASET|cifar|digits|load_characters", source), cell_id


def test_the_ten_class_cells_run_on_cifar10(small_cifar10, no_network, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "__main__"}
    for cell_id, source in ten_class_cells("cifar10"):
        exec(compile(source, f"{CHAPTER.name}[{cell_id}]", "exec"), scope)
    output = capsys.readouterr().out
    count = 5 * PER_FILE
    assert f"'train': ({count - count // 10}, 3, 32, 32), 'val': ({count // 10}, 3, 32, 32)" in output
    assert "classes: airplane automobile bird cat deer dog frog horse ship truck" in output
    assert re.search(r"epoch 3: on validation ≈ [\d.]+", output)
    assert "five seeds" not in output, "the tables hold none of CIFAR-10"
    assert "the same numbers: True" in output
    assert float(re.search(r"accuracy ≈ ([\d.]+)", output)[1]) > 0.5, (
        "ten flat colours are easy to tell apart"
    )
    assert re.search(
        r"(airplane|automobile|bird|cat|deer|dog|frog|horse|ship|truck) → ", "".join(scope["titles"])
    )
    assert not (tmp_path / "simple_cnn.pt").exists()


def test_without_archive_and_network_the_cell_says_what_to_fetch_and_where_to_put_it(
    no_network, monkeypatch, tmp_path
):
    monkeypatch.setattr(data, "DATA", tmp_path)
    setup, _, switch = ten_class_cells("cifar10")[:3]
    scope = {"__name__": "__main__"}
    exec(setup[1], scope)
    with pytest.raises(OSError) as error:
        exec(switch[1], scope)
    for fact in (CIFAR10.filename, CIFAR10.tgz_md5, str(tmp_path / CIFAR10.filename)):
        assert fact in str(error.value)
