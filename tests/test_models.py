"""The PyTorch network of chapters 07 to 09: the same function as the course's own."""

import numpy as np
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
