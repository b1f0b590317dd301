"""The course's network in PyTorch, as chapter 07 writes it, for the chapters after it."""

import torch
from torch import nn
from torch.nn import functional as F


class SimpleCNN(nn.Module):
    """The course's network: images (N, 3, 32, 32) → scores (N, num_classes), named as in helpers.nn.

    batch_norm=True normalises the output of each convolution (bn1, bn2); dropout is the probability with
    which each of the 128 features is left out in training. Both belong to chapter 08 and are off by default.
    The start is PyTorch's own, drawn from its global generator: call torch.manual_seed first.
    """

    def __init__(self, num_classes=10, batch_norm=False, dropout=0.0):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(32) if batch_norm else nn.Identity()
        self.bn2 = nn.BatchNorm2d(64) if batch_norm else nn.Identity()
        self.fc1 = nn.Linear(64 * 8 * 8, 128)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(128, num_classes)
        self.to(memory_format=torch.channels_last)  # the same numbers in another order in memory: faster

    def forward(self, x):
        return self.fc2(self.dropout(self.features(x)))  # (N, num_classes)

    def features(self, x):
        """What the last layer sees: images (N, 3, 32, 32) → (N, 128)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)  # (N, 32, 16, 16)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)  # (N, 64, 8, 8)
        return F.relu(self.fc1(x.flatten(1)))  # (N, 128)
