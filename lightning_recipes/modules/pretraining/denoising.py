"""A denoising autoencoder: the picture is to be told from a noisy or a partly covered one."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle
from typing_extensions import override

from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.modules.pretraining.method import KEY, Encoder, Method
from lightning_recipes.modules.step_additions import StepKey
from lightning_recipes.randomness import generator_for

__all__ = ["Denoising"]


class Denoising(Method):
    """Reconstruct a picture from what noise and covered patches have left of it.

    Each place of the backbone's map, or token, tells the pixels of its own patch by two layers.

    Source: Vincent et al. (2010), "Stacked Denoising Autoencoders", section 3 (noise); Xie et al. (2022), "SimMIM",
    section 3 (covered patches, of which alone the loss is then taken).

    When: transformers, with ``mask`` 0.5 to 0.75; pictures whose colours and crops say what they are, which other
    methods learn not to see. Not with: features for a linear classifier at once: they are better fine-tuned.

    Args:
        map_features: Width of the backbone's features before they are pooled.
        stride: Pixels between two places of the backbone's map.
        in_chans: Channels of an image.
        noise: Standard deviation of the noise, of normalised pixels, >= 0 (default: 0.5, or 0 where ``mask`` is given).
        mask: Share of the patches that are covered by the mean colour, in [0, 1).
        patch: Side of a covered patch in pixels (default: ``stride``).
        hidden: Width between the two layers of the decoder, >= 1.
    """

    views = 1
    compares_images = False

    def __init__(
        self,
        map_features: int,
        stride: int,
        in_chans: int = 3,
        noise: float | None = None,
        mask: float = 0.0,
        patch: int | None = None,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        noise = (0.0 if mask else 0.5) if noise is None else noise
        refuse_bad_values(
            KEY,
            ("noise", noise, 0 <= noise < float("inf"), "a number >= 0"),
            ("mask", mask, 0 <= mask < 1, "a share in [0, 1)"),
            ("patch", patch, patch is None or patch >= 1, "a number of pixels >= 1"),
            ("hidden", hidden, hidden >= 1, "a number >= 1"),
        )
        if not noise and not mask:
            raise UserError(f"{KEY}: noise 0 and mask 0 leave the picture as it is; give one of them")
        self.noise, self.mask, self.patch, self.stride = noise, mask, patch or stride, stride
        told = nn.Conv2d(hidden, in_chans * stride**2, 1)
        self.decoder = nn.Sequential(nn.Conv2d(map_features, hidden, 1), nn.GELU(), told)

    @override
    def loss(self, encoder: Encoder, images: Tensor, labels: Tensor, key: StepKey) -> tuple[Tensor, Tensor]:
        """Return the mean squared error, of covered pixels alone where any are covered, and the pooled features."""
        whole = images[:, 0]
        seen, covered = self.spoiled(whole, key)
        places = encoder.feature_map(seen)
        error = (self._told(places, whole.shape[-1]) - whole.float()).square()
        embeddings = places.float().mean(dim=(2, 3))
        if not self.mask:
            return error.mean(), embeddings
        return (error * covered).sum() / (covered.sum() * whole.shape[1]).clamp_min(1), embeddings

    def spoiled(self, images: Tensor, key: StepKey) -> tuple[Tensor, Tensor]:
        """Return images with noise and covered patches, and what is covered, (N, 1, H, W), 1 or 0.

        Raises:
            UserError: A patch is as large as an image.
        """
        generator = generator_for("denoising", *key, device=images.device)
        noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=torch.float32)
        side, size = -(-images.shape[-1] // self.patch), images.shape[-2:]
        if self.mask and side < 2:
            raise UserError(f"{KEY}.patch: {self.patch} pixels cover all of an image of {size[1]}; give fewer")
        drawn = torch.rand(len(images), side * side, generator=generator, device=images.device)
        count = min(max(1, round(self.mask * side * side)), side * side - 1) if self.mask else 0
        places = torch.zeros_like(drawn).scatter_(1, drawn.argsort(dim=1)[:, :count], 1.0)
        cover = places.reshape(-1, 1, side, side)
        covered = interpolate(cover, scale_factor=self.patch, mode="nearest")[..., : size[0], : size[1]]
        return ((images + self.noise * noise) * (1 - covered)).to(images.dtype), covered

    def reconstruct(self, encoder: Encoder, images: Tensor) -> Tensor:
        """Return pictures (N, C, H, W), float32, normalised, of spoiled ones."""
        return self._told(encoder.feature_map(images), images.shape[-1])

    def _told(self, places: Tensor, size: int) -> Tensor:
        whole = pixel_shuffle(self.decoder(places).float(), self.stride)
        return whole[..., :size, :size]  # the last places of a size that is no multiple of the stride see beyond it
