"""Encodings: text files as people save them, names of files that are not UTF-8."""

import re
from pathlib import Path

__all__ = ["spelt", "text_of"]


def spelt(name: str) -> str:
    """The name of a file as text that can be written anywhere: bytes in it that are not UTF-8 are spelt out.

    >>> print(spelt("caf\\udce9"))
    caf\\xe9
    """
    return re.sub("[\ud800-\udfff]", lambda byte: rf"\x{ord(byte[0]) & 0xFF:02x}", name)


def text_of(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 where its first bytes say so, without that mark.

    Raises :class:`OSError` and :class:`UnicodeDecodeError`.
    """
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return content.decode(encoding)
