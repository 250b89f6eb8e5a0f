"""Which words give away what a patient is treated for. They are data; what is done about them is decided elsewhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import yaml

WORDS = Path(__file__).parent.parent / "data" / "forbidden_words.yaml"

_WORD = re.compile(r"[^\W_]+")

#: A word spelled out, each letter parted from the next by the same: I.V., k-e-t, t o c.
_SPELLED = re.compile(r"(?<![^\W_])[^\W\d_](?P<parted>[^\w\s] ?|_| )(?:[^\W\d_](?P=parted))*[^\W\d_](?![^\W_])")
#: A word with something in it that a reader passes over.
_PARTED = re.compile(r"[^\W_]+(?:[-_.*·'\u2019~+]+[^\W_]+)+")

#: What has no shape: marks over letters, what steers a text, and letters that are blank.
_SHAPELESS = frozenset({"Mn", "Me", "Cf"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
#: Letters that are read as Latin ones, as they look in capitals and in small.
_LOOK_ALIKE = str.maketrans(
    dict(
        zip(
            "АВЕЅІЈКМНОРСТУХԚԜӀавеѕіјкмнорстухԛԝӏԁһпΑΒΕΖΗΙΚΛΜΝΟΡΤΥΧαβεικηνορτυχωıɩɑɡøłđħŧᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
            "abesijkmhopctyxqwlabesijkmhopctyxqwldhnabezhikamnoptyxabeiknvoptuxwiiagoldhtabcdefghijklmnoprstuvwyz",
            strict=True,
        )
    )
    # Letters on squares, on disks, and those of flags.
    | {chr(first + place): chr(ord("a") + place) for first in (0x1F150, 0x1F170, 0x1F1E6) for place in range(26)}
)

#: Parts of an address that bear numbers. In Spanish only those of which no adjective is said: a `sala IV` may be both.
_NUMBERED = (
    "apartment apt block bldg building fl floor level pavilion rm room ste suite tower unit wing"
    " bloque edificio local nivel oficina piso planta puerta torre"
).replace(" ", "|")
#: Suite IV, as the whole of what follows the suite: what is done in an IV suite is another thing.
_NUMERAL = re.compile(rf"\b({_NUMBERED})\.?[ \t]+(?:#|no\.?[ \t]*)?[ivx]+(?=[ \t]*(?:$|[,.;:)/\n]|(?:{_NUMBERED})\b))")


@dataclass(frozen=True)
class _Lists:
    """Forbidden words, folded: whole ones, beginnings, ends, and parts."""

    whole: frozenset[str]
    beginnings: tuple[str, ...]
    ends: tuple[str, ...]
    parts: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Self:
        sorts: dict[tuple[bool, bool], list[str]] = {}
        for pattern in patterns:
            stars = (pattern.startswith("*"), pattern.endswith("*"))
            sorts.setdefault(stars, []).append(fold(pattern.strip("*")))
        whole, beginnings, ends, parts = (
            tuple(sorts.get(stars, ())) for stars in ((False, False), (False, True), (True, False), (True, True))
        )
        return cls(frozenset(whole), beginnings, ends, parts)

    def hold(self, word: str) -> bool:
        return (
            word in self.whole
            or word.startswith(self.beginnings)
            or word.endswith(self.ends)
            or any(part in word for part in self.parts)
        )


def disclosures(text: str, extra_words: Iterable[str] = ()) -> list[str]:
    """The forbidden words found in `text`, folded and without repetition; of every language, whatever the text's.

    `extra_words` are the organization's own, written like the shipped ones (`word`, `word*`, `*word`, `*word*`).
    """
    return list(_found(text, tuple(extra_words)))


# The same few names of places and senders stand in message after message.
@lru_cache(maxsize=1024)
def _found(text: str, extra_words: tuple[str, ...]) -> tuple[str, ...]:
    lists = [_shipped(), _Lists.of(extra_words)]
    plain = _NUMERAL.sub(r"\1 ", fold(text if "%" not in text else f"{text} {unquote(text)}"))

    def tells(word: str) -> bool:
        return any(one.hold(word) for one in lists)

    found = list(filter(tells, _WORD.findall(plain)))
    for parted in (*_SPELLED.finditer(plain), *_PARTED.finditer(plain)):
        parts = _WORD.findall(parted[0])
        if not any(map(tells, parts)) and tells(whole := "".join(parts)):
            found.append(whole)
    return tuple(dict.fromkeys(found))


def fold(text: str) -> str:
    """The text as it is read: in lower case, without accents and what cannot be seen, in Latin letters."""
    if text.isascii():
        return text.lower()
    marks = unicodedata.normalize("NFKD", text).translate(_LOOK_ALIKE)
    seen = (mark for mark in marks if mark not in _BLANK and unicodedata.category(mark) not in _SHAPELESS)
    return "".join(seen).casefold()


@cache
def _shipped() -> _Lists:
    lists: dict[str, list[str]] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return _Lists.of(word for words in lists.values() for word in words)
