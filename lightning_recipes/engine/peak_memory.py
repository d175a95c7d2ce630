"""How much memory of the machine a command took."""

import sys

__all__ = ["peak_memory"]


def peak_memory(workers: int = 1) -> int | None:
    """Return bytes: the peak of this process, and as many times that of the largest child as there were workers.

    An upper bound, as workers share what they were forked with. None where the system does not say.

    Args:
        workers: Child processes at a time; 1 for none beside this one.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return unit * (own + (workers * child if workers > 1 else 0))
