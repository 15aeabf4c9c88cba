"""Which engine computes the meta-gradients of an outer step."""

from metavad.config import MetaConfig
from metavad.meta.engines.batched import batched_engine
from metavad.meta.engines.threads import threaded_engine
from metavad.meta.outer import Engine

__all__ = ["engine_of"]


def engine_of(settings: MetaConfig) -> Engine:
    """``meta.engine``: ours, a scene at a time or several at once, or learn2learn's algorithms."""
    if settings.engine == "learn2learn":
        from metavad.meta.engines.learn2learn import learn2learn_engine

        return learn2learn_engine
    return batched_engine if settings.engine == "batched" else threaded_engine
