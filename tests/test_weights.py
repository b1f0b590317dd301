"""The committed weights: whole, described truthfully by their card, and fit for both frameworks."""

import csv
import re

import numpy as np
import pytest
import torch

from helpers import data, models, nn, train
from tests.notebooks import ROOT


@pytest.fixture(scope="module")
def reader():
    model = models.SimpleCNN(num_classes=62)
    model.load_state_dict({name: torch.from_numpy(a) for name, a in data.load_weights().items()})
    return model


def card():
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    return text[text.index("## Trained weights") :]


def right(model, images, labels, top):
    best = np.argsort(-train.predict(model, (images - 0.5) / 0.25), axis=1)[:, :top]
    return np.mean(np.any(best == labels[:, None], axis=1))


def test_reader_scores_what_its_card_and_the_table_say(reader):
    images, labels = data.load_characters("latin", "test")
    with open(ROOT / "benchmarks" / "characters_cnn_seeds.csv", encoding="utf-8", newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if (row["alphabet"], row["seed"]) == ("latin", "0")]
    for top, column in ((1, "test"), (3, "top3")):
        score = right(reader, images, labels, top)
        assert score == pytest.approx(float(row[column]), abs=0.002)
        assert f"{score:.3f}" in card()


def test_card_gives_checksum_size_seed_and_steps():
    path = data.DATA / "characters_cnn.safetensors"
    for fact in (data.WEIGHTS_SHA256["characters_cnn"], f"{path.stat().st_size:,}", "seed", "978 steps"):
        assert re.search(re.escape(fact), card()), fact


def test_our_own_framework_reads_with_the_same_weights(reader):
    ours = nn.SimpleCNN(num_classes=62, rng=np.random.default_rng(0))
    ours.load_state_dict(data.load_weights())
    images = data.load_characters("latin", "test")[0][:20]
    np.testing.assert_allclose(train.predict(ours, images), train.predict(reader, images), atol=1e-4)


def test_each_call_gives_arrays_of_its_own_that_may_be_changed():
    data.load_weights()["fc2.bias"][:] = 0
    assert np.any(data.load_weights()["fc2.bias"])


@pytest.mark.parametrize("damage", [lambda content: content[:1000], lambda content: content[:-1] + b"?"])
def test_a_broken_file_is_named_with_the_remedy(tmp_path, monkeypatch, damage):
    content = (data.DATA / "characters_cnn.safetensors").read_bytes()
    (tmp_path / "characters_cnn.safetensors").write_bytes(damage(content))
    monkeypatch.setattr(data, "DATA", tmp_path)
    with pytest.raises(OSError, match="cut off or altered.*git checkout -- data/characters_cnn.safetensors"):
        data.load_weights("characters_cnn")


def test_a_missing_file_and_an_unknown_name_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "DATA", tmp_path)
    with pytest.raises(FileNotFoundError, match="characters_cnn.safetensors is missing.*git checkout"):
        data.load_weights()
    with pytest.raises(ValueError, match="name='resnet' is unknown; choose one of 'characters_cnn'"):
        data.load_weights("resnet")
