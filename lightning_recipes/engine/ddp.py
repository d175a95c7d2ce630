"""The copies of a model that several processes train."""

from lightning.pytorch.strategies import DDPStrategy, Strategy

__all__ = ["wrap_again"]


def wrap_again(strategy: Strategy) -> None:
    """Let DDP look at the module anew: which parameters train, and nothing of what it has seen before."""
    if isinstance(strategy, DDPStrategy):
        strategy.model = strategy.lightning_module
        strategy.configure_ddp()
