"""What the pages say, in the reader's language: a gettext catalog for words, CLDR for dates. English is the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.pofile import read_po

from scheduler.core.civil import zone
from scheduler.messaging.phrases import Phrases

CATALOGS = Path(__file__).parent / "locale"
SOURCE = "en"


@cache
def catalogs() -> Mapping[str, Mapping[str, str]]:
    """Message to translation, by language; the source's own is empty."""
    found: dict[str, Mapping[str, str]] = {SOURCE: {}}
    for path in sorted(CATALOGS.glob("*.po")):
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.stem)
        found[path.stem] = {str(each.id): str(each.string) for each in catalog if each.id and each.string}
    return found


def languages() -> dict[str, str]:
    """Every language that the pages speak, by its own name."""
    return {tag: str(Locale.parse(tag).get_display_name(tag)).capitalize() for tag in catalogs()}


def _language(name: str) -> str:
    return name.replace("_", "-").partition("-")[0].lower()


@dataclass(frozen=True)
class Words:
    """The words of one locale, and how it writes the times of a site."""

    locale: str
    language: str
    time_zone: str
    reader_zone: str

    @classmethod
    def of(cls, preferred: Sequence[str], time_zone: str = "UTC", reader_zone: str = "UTC") -> Words:
        """The first of these locales whose language the pages speak, or English."""
        for name in preferred:
            language = _language(name)
            if language in catalogs():
                # Times are written as where the reader lives, also when only the language was asked for.
                manner = next((each for each in preferred if each != language and _language(each) == language), name)
                return cls(manner, language, time_zone, reader_zone)
        return cls(SOURCE, SOURCE, time_zone, reader_zone)

    def __call__(self, text: str, **values: object) -> str:
        """The text in this language, with its `%(name)s` filled in."""
        return catalogs()[self.language].get(text, text) % values

    def full(self, moment: datetime) -> str:
        """Day, time and zone by the site's clock; the site's city too, for a reader elsewhere."""
        return self._phrases.full(self._there(moment), self.reader_zone)

    def day(self, moment: datetime) -> str:
        """The day by the site's clock."""
        return self._phrases.day(self._there(moment))

    def clock(self, moment: datetime) -> str:
        """The time of day by the site's clock, which is named to a reader whose own shows something else."""
        there = self._there(moment)
        return self._phrases.near(there, there, self.reader_zone)

    def near(self, moment: datetime, other: datetime) -> str:
        """A time beside another: with its weekday when that is another day, with its zone to a reader elsewhere."""
        return self._phrases.near(self._there(moment), self._there(other), self.reader_zone)

    def _there(self, moment: datetime) -> datetime:
        return moment.astimezone(zone(self.time_zone))

    @property
    def _phrases(self) -> Phrases:
        return Phrases(self.locale, {}, whole=True)
