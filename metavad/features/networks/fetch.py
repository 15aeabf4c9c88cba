"""Fetching of networks that have a public address; nothing is fetched unless somebody asks for it."""

from pathlib import Path

from metavad.errors import UsageError
from metavad.features.networks.registry import (
    Address,
    digest_of,
    find_file,
    folder_to_fetch_to,
    how_to_get,
    network_named,
    required_file,
)
from metavad.files import claimed
from metavad.progress import SILENT, Progress
from metavad.scenes.datasets.download import retrieve

__all__ = ["fetch_network"]


def fetch_network(name: str, progress: Progress = SILENT) -> Path:
    """The file of a known network, downloaded where it is not there, with the digest that its table states.

    It comes into the folder that ``METAVAD_NETWORKS`` names, else into the cache; a download that broke off goes on.
    Raises :class:`UsageError` for one without a public address, and :class:`DataError` where the address does not
    answer or gives something else.
    """
    network = network_named(name)
    file = folder_to_fetch_to() / network.file
    if find_file(name) not in (None, file):
        return required_file(name)
    if not isinstance(network.source, Address):
        raise UsageError(f"{name}: expected a network with a public address, found none; {how_to_get(name, network)}")
    with claimed(file):
        if file.exists() and not digest_of(file).startswith(network.sha256):
            file.unlink()
        otherwise = f"put its file into {file.parent}"
        retrieve(network.source.url, network.sha256, file, progress, otherwise=otherwise)
    return file
