"""A text as HTML for mail programs: its paragraphs, and its links to be pressed. Loads nothing and watches nobody."""

from __future__ import annotations

import re
from html import escape

_ADDRESS = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]")
_STYLE = "margin:0 auto;max-width:36rem;padding:1rem;font:1.125rem/1.5 system-ui,sans-serif;color:#1b1f23"


def as_html(text: str, language: str) -> str:
    """The same words as the text, in the same order."""
    paragraphs = [part for part in text.strip().split("\n\n") if part.strip()]
    body = "\n".join(f"<p>{_lines(part)}</p>" for part in paragraphs)
    return (
        f'<!doctype html>\n<html lang="{escape(language)}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"></head>\n'
        f'<body><div style="{_STYLE}">\n{body}\n</div></body></html>\n'
    )


def _lines(paragraph: str) -> str:
    return "<br>\n".join(_linked(line) for line in paragraph.strip().splitlines())


def _linked(line: str) -> str:
    said, at = "", 0
    for found in _ADDRESS.finditer(line):
        address = escape(found[0])
        said += f'{escape(line[at : found.start()])}<a href="{address}">{address}</a>'
        at = found.end()
    return said + escape(line[at:])
