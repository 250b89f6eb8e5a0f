"""What a template may name: finished phrases in the reader's language, each made when a text first asks for it.

Most texts name a few of them, and to phrase all would cost more than the text. What does not apply is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from scheduler.core.oneline import one_line
from scheduler.messaging.disclosure import disclosures
from scheduler.messaging.facts import Facts, Line, Moved
from scheduler.messaging.gsm7 import to_gsm7
from scheduler.messaging.phrases import Phrases

#: No name, address or number is longer.
_LONGEST = 500

#: At first a text is said with all its words.
_AT_FIRST: Mapping[str, Any] = {"brief": 0}
#: What is said of a visit that asks for no fasting: shipped texts ask for all of it, and most are about such visits.
_NO_FASTING: Mapping[str, Any] = {
    **_AT_FIRST,
    **{f"{what}_{when}": "" for what in ("food", "liquids", "alcohol") for when in ("until", "since")},
    "food_bare": "",
    "liquids_bare": "",
    "clear_liquids": False,
    "food_over": False,
    "liquids_over": False,
    "alcohol_over": False,
    "fast_over": False,
}
#: What is said of a visit by which there is none to be reminded of as well, and that asks for no fasting.
PLAIN: dict[str, Any] = {**_NO_FASTING, "also_short": "", "also_bare": ""}


class Values(dict[str, Any]):
    """The values of one message in one language by their names. What is set replaces what would be made."""

    def __init__(self, facts: Facts, phrases: Phrases, words: Mapping[str, str]) -> None:
        fasts = facts.food_until or facts.liquids_until or facts.alcohol_until
        self.is_plain = not (fasts or facts.also)
        super().__init__(_AT_FIRST if fasts else _NO_FASTING, ride=facts.ride)
        self.facts, self.phrases, self.words = facts, phrases, words

    def __missing__(self, name: str) -> Any:
        made = self[name] = _MADE[name](self)
        return made

    def __contains__(self, name: object) -> bool:
        return name in _MADE or super().__contains__(name)

    def beside(self, moment: datetime | None) -> str:
        """A time near that of the visit."""
        return self.phrases.near(moment, self.facts.starts_at, self.facts.recipient_zone) if moment else ""

    def since(self, moment: datetime | None) -> str:
        """The same, as it stands after "from" or "since"."""
        return self.phrases.since(moment, self.facts.starts_at, self.facts.recipient_zone) if moment else ""

    def bare(self, moment: datetime | None) -> str:
        """The same where the site's zone has just been named."""
        here = str(self.facts.starts_at.tzinfo)
        return self.phrases.near(moment, self.facts.starts_at, here) if moment else ""

    def is_over(self, moment: datetime | None) -> bool:
        """Whether a time that applies has passed."""
        return moment is not None and moment <= self.facts.now

    def full(self, moment: datetime) -> str:
        """A time with all that tells it."""
        return self.phrases.full(moment, self.facts.recipient_zone)

    def line(self, one: Line) -> str:
        """One visit of a list."""
        return f"{self.full(one.starts_at)} - {self.neutral(one.visit)}"

    def change(self, moved: Moved, said: Callable[[datetime], str]) -> str:
        """What became of one visit."""
        if moved.now is None:
            return self.words["change_cancelled"].format(was=said(moved.was) if moved.was else "")
        if moved.was is None:
            return self.words["change_new"].format(now=said(moved.now))
        return self.words["change_moved"].format(was=said(moved.was), now=said(moved.now))

    def brief(self, moment: datetime) -> str:
        """Without the zone, for a reader who lives in it."""
        return self.phrases.short(moment, named=str(moment.tzinfo) != self.facts.recipient_zone)

    def neutral(self, name: str) -> str:
        """The name of a visit, as far as it may be said."""
        return quiet(name) or self.words["visit"]


@lru_cache(maxsize=1024)
def quiet(name: str) -> str:
    """A name on one line; nothing when it would give the patient away."""
    return "" if disclosures(name) else one_line(name, _LONGEST)


def _sender(values: Values) -> str:
    return _sayable(values.facts.sender_name) or values.words["sender"]


@lru_cache(maxsize=256)
def _sayable(sender: str) -> str:
    """The name on one line; nothing when it gives the patient away, or no telephone could show it."""
    name = one_line(sender, _LONGEST)
    shown = to_gsm7(name)
    return "" if disclosures(f"{name}\n{shown}") or not shown else name


def _link(values: Values) -> str:
    """The link, unless it stands under a name that tells. Its last part is drawn by lot and tells nothing."""
    link = values.facts.link
    return link if link and not disclosures(link.rpartition("/")[0]) else ""


@lru_cache(maxsize=256)
def _number(phone: str) -> str:
    return one_line(phone, _LONGEST)


def _changes_brief(values: Values) -> str:
    return "; ".join(values.change(each, values.brief) for each in values.facts.moved)


def _changes_count(values: Values) -> str:
    """How many there are, and that they are all cancelled, where they are: nobody is to come for nothing."""
    all_gone = all(each.now is None for each in values.facts.moved)
    word = "changes_count_cancelled" if all_gone else "changes_count"
    return values.words[word].format(count=len(values.facts.moved))


def _first_change(values: Values) -> str:
    """The change that comes into effect first: of a visit that is nearest by its old time or by its new one."""
    changes = values.facts.moved
    first = min(changes, key=lambda each: min(filter(None, (each.was, each.now))), default=None)
    if first is None:
        return ""
    if first.was is not None and all(each.now is None for each in changes):
        return values.brief(first.was)
    return values.change(first, values.brief)


def _has_clear_liquids(values: Values) -> bool:
    """Whether there is a time between, in which one may drink and what one drinks must be clear."""
    food, liquids = values.facts.food_until, values.facts.liquids_until
    return food is not None and liquids is not None and food < liquids


def _drive(values: Values) -> str:
    return values.words[f"drive_{values.facts.no_driving}"] if values.facts.no_driving else ""


def _previous(values: Values, said: Callable[[datetime], str]) -> str:
    before = values.facts.previous_starts_at
    return said(before) if before else ""


def _also_short(values: Values) -> str:
    if not values.facts.also:
        return ""
    return "; ".join(_another_day(values, each.starts_at) for each in values.facts.also)


def _also_bare(values: Values) -> str:
    """Of a visit on the same day its time is enough."""
    day, times = values.facts.starts_at.date(), (each.starts_at for each in values.facts.also)
    return "; ".join(values.bare(time) if time.date() == day else _another_day(values, time) for time in times)


def _another_day(values: Values, moment: datetime) -> str:
    return values.phrases.short(moment, named=moment.utcoffset() != values.facts.starts_at.utcoffset())


def _first_new(values: Values) -> str:
    new = [each.now for each in values.facts.moved if each.now is not None]
    return values.phrases.short(min(new)) if new else ""


_MADE: dict[str, Callable[[Values], Any]] = {
    "sender": _sender,
    "phone": lambda v: _number(v.facts.phone),
    "link": _link,
    "visit": lambda v: v.neutral(v.facts.visit),
    "place": lambda v: ", ".join(filter(None, map(quiet, (v.facts.location, v.facts.address)))),
    "when": lambda v: v.full(v.facts.starts_at),
    "when_short": lambda v: v.phrases.short(v.facts.starts_at),
    "when_brief": lambda v: v.brief(v.facts.starts_at),
    "when_date": lambda v: v.phrases.date(v.facts.starts_at),
    "day": lambda v: v.phrases.day(v.facts.starts_at),
    "in_words": lambda v: v.phrases.until(v.facts.starts_at, v.facts.now),
    "arrive_at": lambda v: v.beside(v.facts.arrive_at),
    "food_until": lambda v: v.beside(v.facts.food_until),
    "food_since": lambda v: v.since(v.facts.food_until),
    "food_bare": lambda v: v.bare(v.facts.food_until),
    "clear_liquids": _has_clear_liquids,
    "food_over": lambda v: v.is_over(v.facts.food_until),
    "liquids_over": lambda v: v.is_over(v.facts.liquids_until),
    "alcohol_over": lambda v: v.is_over(v.facts.alcohol_until),
    "fast_over": lambda v: v["food_over"] or v["liquids_over"],
    "arrive_over": lambda v: v.is_over(v.facts.arrive_at),
    "sheet_over": lambda v: v.is_over(v.facts.sheet_from),
    "liquids_until": lambda v: v.beside(v.facts.liquids_until),
    "alcohol_until": lambda v: v.beside(v.facts.alcohol_until),
    "liquids_since": lambda v: v.since(v.facts.liquids_until),
    "liquids_bare": lambda v: v.bare(v.facts.liquids_until),
    "alcohol_since": lambda v: v.since(v.facts.alcohol_until),
    "sheet_from": lambda v: v.beside(v.facts.sheet_from),
    "sheet_since": lambda v: v.since(v.facts.sheet_from),
    "drive": _drive,
    "previous": lambda v: _previous(v, v.full),
    "previous_short": lambda v: _previous(v, v.phrases.short),
    # Visits besides the one that the message is about: those to be reminded of as well, and those that changed.
    "visits": lambda v: "\n".join(map(v.line, v.facts.visits)),
    "also": lambda v: "\n".join(map(v.line, v.facts.also)),
    "also_short": _also_short,
    "also_bare": _also_bare,
    "changes": lambda v: "\n".join(v.change(each, v.full) for each in v.facts.moved),
    "changes_short": lambda v: "; ".join(v.change(each, v.phrases.short) for each in v.facts.moved),
    "changes_brief": _changes_brief,
    "changes_count": _changes_count,
    "first_change": _first_change,
    "changes_spoken": lambda v: "; ".join(v.change(each, v.full) for each in v.facts.moved),
    "first_new": _first_new,
    "opt_out": lambda v: v.words["opt_out"] if v.facts.opt_out else "",
}
