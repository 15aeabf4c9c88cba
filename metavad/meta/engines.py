"""Which engine computes the meta-gradients of an outer step."""

from metavad.config import MetaConfig
from metavad.meta.outer import Engine, loop_engine

__all__ = ["engine_of"]


def engine_of(settings: MetaConfig) -> Engine:
    """``meta.engine``: ours, or learn2learn's algorithms on the same experts and episodes."""
    if settings.engine == "learn2learn":
        from metavad.meta.learn2learn import learn2learn_engine

        return learn2learn_engine
    return loop_engine
