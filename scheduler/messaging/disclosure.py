"""Which words give away what a patient is treated for. They are data; what is done about them is decided elsewhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
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
#: A word with something in it that a reader passes over, or broken at the end of a line.
_PARTED = re.compile(r"(?<![^\W_])[^\W_]+(?:(?:[-\u2010][^\S\n]*\n\s*|[-\u2010_.*·'\u2019~+]+)[^\W_]+)+")
#: Words that stand apart by nothing but blanks and hyphens.
_ROW = re.compile(r"(?<![^\W_])[^\W_]+(?:[-\u2010\s]+[^\W_]+)+")
#: A word with figures and signs, and as which letters these are read.
_FIGURED = re.compile(r"(?:[^\W_]|[@$€])+")
_READ_AS = tuple(str.maketrans("0134578@$€", f"o{one}eastbase") for one in "il")
#: Only longer words are put together from what stands apart, or from figures: of shorter ones ordinary words are made
#: ("an estimate", "do send", "1st").
_LONG, _FIGURED_LONG = 7, 4
#: So many letters has each of three pieces at the most; so many may stand around what is put together ("esketa mine").
_SHORT_PIECE, _FEW = 4, 2

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

    def longer(self, length: int) -> _Lists:
        """Those of at least so many letters."""

        def kept(words: Iterable[str]) -> tuple[str, ...]:
            return tuple(word for word in words if len(word) >= length)

        return _Lists(frozenset(kept(self.whole)), kept(self.beginnings), kept(self.ends), kept(self.parts))

    @property
    def all(self) -> tuple[str, ...]:
        """Each of them, wherever in a word it stands."""
        return (*self.whole, *self.beginnings, *self.ends, *self.parts)

    def makes(self, word: str) -> bool:
        """Whether the word is one of these but for a few letters before, where it may be a part, and after it."""
        for one in (*self.beginnings, *self.parts, *self.ends):
            place = word.find(one, 0, len(one) + (0 if one in self.beginnings else _FEW))
            if place >= 0 and len(word) - len(one) - place <= _FEW:
                return True
        return word in self.whole

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
    for one in lists:
        found += [word for word in _figured(plain, one) if not tells(word)]
        found += _apart(plain, one)
    return tuple(dict.fromkeys(found))


def _figured(plain: str, lists: _Lists) -> Iterator[str]:
    """Words in which figures stand for letters, as they are written: k3tamine."""
    long = lists.longer(_FIGURED_LONG)
    for word in _FIGURED.findall(plain):
        if not word.isalpha() and any(long.hold(word.translate(letters)) for letters in _READ_AS):
            yield word


def _apart(plain: str, lists: _Lists) -> Iterator[str]:
    """Words that blanks, lines or hyphens part into two, or into three short pieces, put together: keta mine."""
    long, letters = lists.longer(_LONG), "".join(_WORD.findall(plain))
    if not any(one in letters for one in long.all):
        return
    for row in _ROW.findall(plain):
        pieces = _WORD.findall(row)
        for first, second, third in zip(pieces, pieces[1:], [*pieces[2:], ""], strict=False):
            if long.hold(first) or long.hold(second):
                continue
            if long.makes(two := first + second):
                yield two
            elif max(map(len, (first, second, third))) <= _SHORT_PIECE and long.makes(three := first + second + third):
                yield three


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
