"""Names folded for a search."""

from __future__ import annotations

import pytest

from scheduler.core.names import folded, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  María   José ", "maria jose"),
        ("GROSSE Straße", "grosse strasse"),
        ("O’Neil", "oneil"),  # noqa: RUF001
        ("İnci", "inci"),
        ("ÅSE", "ase"),
        ("ﬁona", "fiona"),
        ("Łucja", "łucja"),
    ],
)
def test_folding(text: str, expected: str) -> None:
    assert folded(text) == expected
    assert folded(folded(text)) == folded(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ana-María O'Neil", ["ana", "ana-maria", "maria", "oneil"]),
        ("De la Cruz, Maria", ["cruz", "de", "la", "maria"]),
        ("-", ["-"]),
        ("", []),
    ],
)
def test_words(name: str, expected: list[str]) -> None:
    assert words(name) == expected
