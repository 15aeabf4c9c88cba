"""What mkdocs is told in Python: which files are the site, its navigation, and what docstrings link to.

The site is the repository's own tree, so that a link between two pages leads on in both.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
INDEX, STYLE = "docs/index.md", "docs/site.css"
LINK = re.compile(r"\]\(([^)#\s]+)")
ROLE = re.compile(r":(?:class|func|meth|data|mod|attr):`(~?)([\w.]+)`")


def pages() -> list[str]:
    """Paths of all pages, from the top of the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def linked(page: str) -> Iterator[str]:
    """The files that a page shows or links to, but for pages."""
    for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        path = (ROOT / page).parent.joinpath(target).resolve()
        if "://" not in target and path.is_file() and path.suffix != ".md":
            yield str(path.relative_to(ROOT))


def navigation() -> list[dict[str, Any]]:
    """Titles and pages of the index, kind by kind, between the README and the records."""
    parts = re.split(r"^## (.+)$", (ROOT / INDEX).read_text(encoding="utf-8"), flags=re.MULTILINE)
    kinds = [
        {title.partition(":")[0]: [{name: f"docs/{page}"} for name, page in re.findall(r"\| \[(.+?)\]\((.+?)\)", rows)]}
        for title, rows in zip(parts[1::2], parts[2::2], strict=True)
    ]
    records = sorted(page for page in pages() if page.startswith("benchmarks/"))
    return [
        {"metavad": ["README.md", {"All pages": INDEX}]},
        *kinds,
        {"Records": records},
        {"Project": ["CONTRIBUTING.md", "CHANGELOG.md"]},
    ]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """mkdocs asks for changes of its settings."""
    config.nav = navigation()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """mkdocs asks for the files: the theme's, and the repository's pages with what they show."""
    kept = [file for file in files if file.src_dir != config.docs_dir]
    ours = {STYLE, *pages(), *(file for page in pages() for file in linked(page))}
    return Files([*kept, *(File(path, str(ROOT), config.site_dir, config.use_directory_urls) for path in sorted(ours))])


class Roles(griffe.Extension):
    """Roles of docstrings, such as those of Sphinx, as links to what has a place on a page, else as code."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Griffe has read a package."""
        if pkg.name == "metavad":
            self._mend(pkg, [name for name in pkg["errors"].members if name.endswith(("Error", "Warning"))])

    def _mend(self, node: griffe.Object, errors: Sequence[str]) -> None:
        if node.docstring:
            node.docstring.value = ROLE.sub(lambda role: _link(node, *role.groups()), node.docstring.value)
        for member in node.members.values():
            if isinstance(member, griffe.Object):
                self._mend(member, errors)
        for name in errors if node.is_module else ():  # a docstring names errors that its module does not import
            if name not in node.members:
                node.set_member(name, griffe.Alias(name, f"metavad.errors.{name}"))


def _link(node: griffe.Object, short: str, name: str) -> str:
    shown = name.rpartition(".")[2] if short else name
    try:
        target = node.resolve(name)
    except griffe.NameResolutionError:
        target = name
    return f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'
