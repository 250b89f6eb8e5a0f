"""What somebody outside wrote, as one line of plain text: it may be shown anywhere, and commands nobody's screen."""

from __future__ import annotations

import unicodedata

#: They join letters and signs into one, and turn no text around.
_JOINERS = frozenset("\u200c\u200d")


def one_line(text: str, longest: int) -> str:
    """Without line breaks, control characters, marks that turn the text around, and half characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())[:longest]
    kept = "".join(mark if mark.isprintable() or mark in _JOINERS else " " for mark in text)
    return unicodedata.normalize("NFC", " ".join(kept.split()))[:longest]
