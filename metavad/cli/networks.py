"""``metavad networks``: which pretrained networks are known, where they are, and how they come here."""

from typing import Annotated

import typer

from metavad.cli.options import Commands, ProgressKind

__all__ = ["register"]

app = Commands(
    name="networks",
    help="List, fetch and check the pretrained networks of others that experts can use.",
    short_help="List, fetch and check pretrained networks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="networks")


@app.command(
    "list", epilog="Example: metavad networks list", short_help="What each gives, its licence, and where it is."
)
def list_networks() -> None:
    """What each gives, its licence, and where its file is."""
    from metavad.cli.terminal import say_table
    from metavad.features.networks.registry import find_file, how_to_get, networks

    rows = []
    for name, network in networks().items():
        file = find_file(name)
        size = file.stat().st_size if file else network.bytes
        where = str(file) if file else f"no: {how_to_get(name, network)}"
        rows.append((name, network.gives, f"{size / 1e6:.1f} MB" if size else "", network.licence, where))
    narrow = [(f"{name}: {gives}; {licence}", f"    {where}") for name, gives, _, licence, where in rows]
    say_table(("network", "gives", "size", "licence", "where"), rows, narrow)


@app.command(epilog="Example: metavad networks fetch yolox-nano")
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A network that is known.")],
    progress: ProgressKind = "auto",
) -> None:
    """Download one with a public address, and check its digest.

    It comes into the folder that METAVAD_NETWORKS names, else into the cache.
    """
    from metavad.cli.terminal import progress_of, resuming, say
    from metavad.features.networks.fetch import fetch_network

    reporter = progress_of(progress)
    with resuming("the same command goes on"):
        say(f"{name}: {fetch_network(name, reporter)}")


@app.command(epilog="Example: metavad networks check yolox-nano", short_help="Compare the digest, and run it once.")
def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Networks, else all that are here.")] = None,
) -> None:
    """Compare the digest, then run it once: does it give what its table says?"""
    from metavad.cli.terminal import say
    from metavad.errors import MetavadError
    from metavad.features.network_check import check_network
    from metavad.features.networks.registry import find_file, network_named, networks

    for name in names or []:
        network_named(name)
    wrong = False
    for name in names or [name for name in networks() if find_file(name)]:
        try:
            say(f"{name}: gives {check_network(name)}")
        except MetavadError as error:
            wrong = True
            say(str(error) if str(error).startswith(name) else f"{name}: {error}")
    if wrong:
        raise typer.Exit(1)
