"""Text files as people save them."""

from pathlib import Path

__all__ = ["text_of"]


def text_of(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 where its first bytes say so, without that mark.

    Raises :class:`OSError` and :class:`UnicodeDecodeError`.
    """
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return content.decode(encoding)
