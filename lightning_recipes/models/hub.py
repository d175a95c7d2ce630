"""The Hugging Face Hub where it cannot be reached: what is in the cache is used, and what is not is refused at once."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["cache_alone_if_offline"]

SECONDS = 5.0


@contextmanager
def cache_alone_if_offline() -> Iterator[str]:
    """Yield why the hub cannot be reached, or an empty string; where it cannot, only its cache is looked at meanwhile.

    The hub's own client asks for each file six times, with pauses between, before it says so or takes the cache.
    """
    from huggingface_hub import constants

    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _unreachable(constants.ENDPOINT)
    if not why:
        yield ""
        return
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield why
    finally:
        constants.HF_HUB_OFFLINE = before


def _unreachable(endpoint: str) -> str:
    """Ask once, as the client would, proxies included; any answer is one."""
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=SECONDS)
    except Exception as error:  # of the client's library, which changes between versions
        return f"{endpoint} cannot be reached: {' '.join(str(error).split()) or type(error).__name__}"
    return ""
