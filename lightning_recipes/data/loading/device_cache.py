"""Which images a data module keeps where the network computes."""

from dataclasses import replace

from torch import Tensor

from lightning_recipes.data.loading.device_images import DeviceImages, keep_on_device
from lightning_recipes.data.loading.loader_settings import LoaderSettings
from lightning_recipes.data.loading.loaders import LoadingProcess
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.data.transforms.batch_views import refuse_for_batches
from lightning_recipes.data.transforms.policies import Policy, resolve_policy
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig

__all__ = ["DeviceCache", "policy_for_batches"]


class DeviceCache:
    """The images that a data module keeps on a device: of each split those of the input that was last asked for."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[InputConfig, Tensor]] = {}

    def of(
        self, split: str, source: ImageSource, settings: LoaderSettings, process: LoadingProcess, *, train: bool
    ) -> DeviceImages:
        """Return the images of a split, read where they are not kept already.

        Args:
            split: Its name.
            source: Its images.
            settings: What they are loaded with.
            process: That keeps them.
            train: Whether the policy draws views of them.
        """
        policy = policy_for_batches(settings) if train else None
        # What a crop would cut off is a crop's to draw.
        wanted = settings.input if policy is None else replace(settings.input, crop_pct=1.0)
        images = replace(settings, input=wanted).dataset(source)
        kept = self._kept.get(split)
        if kept is None or kept[0] != wanted:
            self._kept.pop(split, None)  # makes room
            kept = (wanted, keep_on_device(images, process.device, num_workers=process.num_workers))
            self._kept[split] = kept
        return DeviceImages(kept[1], images, policy)

    def forget(self) -> None:
        """Free the memory."""
        self._kept.clear()


def policy_for_batches(settings: LoaderSettings) -> Policy | None:
    """Return what happens to a batch of training images; None where it is nothing.

    Raises:
        UserError: It is nothing that can happen to a batch at once.
    """
    if settings.augment == "none":
        return None
    if isinstance(settings.augment, list):
        raise UserError("data.cache: device draws policies by name, not a list of transforms; leave one of them out")
    policy = resolve_policy(settings.augment)
    refuse_for_batches(policy)
    return policy
