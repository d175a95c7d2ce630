"""A callback that ends the process after the first step; see startup.py."""

import os
from typing import Any

import lightning.pytorch as pl


class FirstStep(pl.Callback):
    """Says that it is ready, and ends."""

    def on_train_batch_end(self, *args: Any) -> None:
        print("ready", flush=True)
        os._exit(0)
