"""What every test here has: a CUDA device, in whose sums no precision is saved that was not asked to be."""

from collections.abc import Iterator

import pytest
import torch

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "gpu":
            item.add_marker(needs_cuda)
            item.add_marker("gpu")


@pytest.fixture(autouse=True)
def _exact_sums() -> Iterator[None]:
    """TensorFloat-32 keeps ten bits of a convolution's factors, and is torch's default there."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = allowed
    torch.use_deterministic_algorithms(False)  # Lightning sets it for the process
