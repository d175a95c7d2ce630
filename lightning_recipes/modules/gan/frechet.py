"""How far made images are from real ones: the Frechet distance of features that a network of this package gives.

Source: Heusel et al. (2017), "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
equation 6.
"""

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from typing_extensions import override

from lightning_recipes.data.batch import normalise
from lightning_recipes.models.backbone import create_backbone

__all__ = ["FrechetDistance"]

BACKBONE, WEIGHTS, SIDE = "test_resnet", "embedded:letters", 32


class _AsGiven(nn.Module):
    """Lets torchmetrics take features for images: it asks for a network, and would keep it in every checkpoint."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    @override
    def forward(self, features: Tensor) -> Tensor:
        return features


class FrechetDistance(FrechetInceptionDistance):
    """``|m - m'|² + tr(S + S' - 2 (S S')^½)`` of mean m and covariance S of features of real and of made images.

    The features are the 96 that the letters of this package are told apart by, of images at 32 x 32 pixels: right for
    drawn signs, and a coarse measure of photographs. Not comparable with published distances, whose features are
    Inception's, nor over different numbers of images: the fewer there are, the larger it is.
    """

    def __init__(self) -> None:
        made = create_backbone(BACKBONE, num_classes=2, pretrained=WEIGHTS, image_size=SIDE)
        super().__init__(feature=_AsGiven(made.num_features))
        self._network = [made.features.eval().requires_grad_(False)]  # in a list it is no part of the module
        self._mean, self._std = made.input.mean, made.input.std

    @override
    @torch.no_grad()
    def update(self, imgs: Tensor, real: bool) -> None:
        """Take images.

        Args:
            imgs: (N, C, H, W), uint8, of 1 or 3 channels.
            real: Whether they are real ones.
        """
        if self.real_features_sum.dtype != torch.float64:  # of a module that is all of half precision
            self.set_dtype(torch.float64)
        resized = nn.functional.interpolate(imgs.expand(-1, 3, -1, -1).float(), (SIDE, SIDE), mode="bilinear")
        network = self._network[0].to(imgs.device)
        with torch.autocast(imgs.device.type, enabled=False):
            super().update(network(normalise(resized, self._mean, self._std)), real)
