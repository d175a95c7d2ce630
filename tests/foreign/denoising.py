"""A project of somebody else's: a denoising autoencoder, which learns without a label.

Source: Vincent et al. (2008), "Extracting and Composing Robust Features with Denoising Autoencoders".
"""

from typing import Any

import lightning.pytorch as pl
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from lightning_recipes import LayerGroup, StagedModule, groups_of
from lightning_recipes.data.loading.train_loader import TrainLoader
from lightning_recipes.data.loading.train_sampler import EpochSampler, Key
from lightning_recipes.randomness import generator_for

__all__ = ["DenoisingAutoencoder", "Pictures"]


class DenoisingAutoencoder(StagedModule):
    """Takes noise off pictures (N, 1, 8, 8); what its encoder makes of one is a description of it."""

    def __init__(self, noise: float = 0.3, width: int = 32, **optimization: Any) -> None:
        super().__init__(**optimization)
        self.save_hyperparameters()
        self.noise = noise
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU())
        self.decoder = nn.Sequential(nn.Dropout(0.1), nn.Linear(width, 64), nn.Unflatten(1, (1, 8, 8)))

    @property
    @override
    def layer_groups(self) -> list[LayerGroup]:
        return groups_of(encoder=self.encoder, decoder=self.decoder)

    @override
    def training_loss(self, batch: Tensor, key: tuple[str | int, ...]) -> Tensor:
        noise = torch.randn(batch.shape, generator=generator_for("noise", *key))
        return nn.functional.mse_loss(self.decoder(self.encoder(batch + self.noise * noise)), batch)


class Digits(Dataset[Tensor]):
    """Some of scikit-learn's scans, by position or by a key of the training order."""

    def __init__(self, first: int, last: int) -> None:
        self.pictures = torch.tensor(load_digits().images[first:last], dtype=torch.float32)[:, None] / 16

    def __len__(self) -> int:
        return len(self.pictures)

    @override
    def __getitem__(self, key: int | Key) -> Tensor:
        return self.pictures[key.index if isinstance(key, Key) else key]


class Pictures(pl.LightningDataModule):
    """Handwritten digits without their labels: 256 to train on, in an order that is a function of the epoch."""

    @override
    def train_dataloader(self) -> TrainLoader:
        assert self.trainer is not None
        return TrainLoader(Digits(0, 256), EpochSampler(range(256), batch_size=64), trainer=self.trainer)

    @override
    def val_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(Digits(256, 320), batch_size=32)
