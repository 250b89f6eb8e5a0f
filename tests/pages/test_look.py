"""What of the pages' look can be reckoned: contrast of text, of the edges of fields, and of what has focus."""

from __future__ import annotations

import re

from tests.house.source import ROOT

SHEET = (ROOT / "scheduler" / "pages" / "static" / "style.css").read_text()
NAMED = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", SHEET))
WHITE = "#ffffff"


def luminance(color: str) -> float:
    """By WCAG 2.2."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str = WHITE) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_text_stands_out_from_the_page() -> None:
    assert [name for name in ("ink", "quiet", "main", "bad") if contrast(NAMED[name]) < 4.5] == []


def test_so_do_the_edges_of_fields_and_of_what_has_focus() -> None:
    (focus,) = re.findall(r":focus-visible \{ outline: 3px solid (#[0-9a-f]{6})", SHEET)
    edges = [NAMED["line"], focus, *re.findall(r"border-color: (#[0-9a-f]{6})", SHEET)]
    assert len(edges) == 3
    assert [color for color in edges if contrast(color) < 3] == []
