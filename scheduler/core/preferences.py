"""What a patient's course may be asked to respect: days, hours, people, dates to leave out. People and wishes bend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple, cast
from uuid import UUID

from scheduler.core.bar import Bar
from scheduler.core.bitmap import SLOT_MINUTES, Timeline
from scheduler.core.hours import WEEKDAYS, edge
from scheduler.core.intervals import Span
from scheduler.core.localgrid import Wish, wished_starts
from scheduler.core.planner import Preferences

Continuity = Literal["required", "preferred", "none"]

_UNWANTED = "outside_preferences", "The patient does not come on that day or at that hour."
_AWAY = "The patient is away on that date."


class Unsuited(NamedTuple):
    """Why a visit does not suit the patient."""

    code: str
    detail: str


@dataclass(frozen=True)
class CoursePreferences:
    """As in the API. `practitioner_ids` are whom the patient wants to see.

    A visit starts on one of `weekdays` (0 is Monday), from `earliest` to `latest` (minutes of the local day), and on no
    blackout date (inclusive pairs).
    """

    weekdays: frozenset[int] | None = None
    earliest: int | None = None
    latest: int | None = None
    practitioner_ids: tuple[UUID, ...] = ()
    blackouts: tuple[tuple[date, date], ...] = ()
    continuity: Continuity = "preferred"
    #: When visits would better lie, weekday and hours: outside they cost points, and are lawful.
    wishes: Preferences = field(default_factory=Preferences)
    #: Keys of the protocol's optional steps that the course has.
    optional_steps: tuple[str, ...] = ()
    #: How many sessions the course has of a step, by its key, instead of the protocol's number.
    sessions: Mapping[str, int] = field(default_factory=dict)
    #: Local dates on which the patient comes in spite of the weekday (`weekdays`) or at any hour (`hours`).
    but_on: Mapping[str, frozenset[date]] = field(default_factory=dict)
    #: Where the patient will be during visits by video, such as US-NY.
    patient_region: str | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> CoursePreferences:
        """Read what a course stores; it was checked when it came in."""
        wishes = document.get("wishes") or {}
        return cls(
            weekdays=_weekdays(document.get("weekdays")),
            earliest=_minutes(document.get("earliest")),
            latest=_minutes(document.get("latest")),
            practitioner_ids=tuple(UUID(each) for each in document.get("practitioner_ids") or ()),
            blackouts=tuple(
                (date.fromisoformat(each["from"]), date.fromisoformat(each["to"]))
                for each in document.get("blackouts") or ()
            ),
            continuity=cast("Continuity", document.get("continuity") or "preferred"),
            wishes=Preferences(
                _weekdays(wishes.get("weekdays")), _minutes(wishes.get("earliest")), _minutes(wishes.get("until"))
            ),
            optional_steps=tuple(document.get("optional_steps") or ()),
            sessions=dict(document.get("sessions") or {}),
            patient_region=document.get("patient_region"),
        )

    def against(self, start: datetime) -> Unsuited | None:
        """Why a visit that starts at that wall time does not suit the patient; None where it does."""
        if any(first <= start.date() <= past for first, past in self.blackouts):
            return Unsuited("blackout", _AWAY)
        minute, day = start.hour * 60 + start.minute, start.date()
        is_day = self.weekdays is None or start.weekday() in self.weekdays or day in self.but_on.get("weekdays", ())
        late = self.latest is not None and minute > self.latest
        is_hour = (minute >= (self.earliest or 0) and not late) or day in self.but_on.get("hours", ())
        return None if is_day and is_hour else Unsuited(*_UNWANTED)

    def bars(self, timeline: Timeline, time_zone: str) -> tuple[Bar, ...]:
        """The starts that the patient does not want."""
        last = 24 * 60 - SLOT_MINUTES
        wishes = {
            "weekdays": Wish(weekdays=self.weekdays, earliest=0, latest=last),
            "hours": Wish(earliest=self.earliest or 0, latest=last if self.latest is None else self.latest),
        }
        wanted = timeline.everything
        for name, wish in wishes.items():
            but_on = on_dates(self.but_on.get(name, ()), time_zone, timeline)
            wanted &= wished_starts(wish, time_zone, timeline) | but_on
        away = on_spans(self.blackouts, time_zone, timeline)
        return (
            Bar(*_UNWANTED, timeline.everything & ~wanted),
            Bar("blackout", _AWAY, away),
        )


def on_dates(dates: Iterable[date], time_zone: str, timeline: Timeline) -> int:
    """The slots of these local days."""
    return on_spans(((day, day) for day in dates), time_zone, timeline)


def on_spans(spans: Iterable[tuple[date, date]], time_zone: str, timeline: Timeline) -> int:
    """The slots of the local days from each first one to each last one."""
    whole = [Span(_midnight(one, time_zone), _midnight(other + timedelta(days=1), time_zone)) for one, other in spans]
    return timeline.touched(whole)


def _weekdays(days: Sequence[str] | None) -> frozenset[int] | None:
    return frozenset(WEEKDAYS.index(day) for day in days) if days else None


def _minutes(text: str | None) -> int | None:
    return None if text is None else int(text[:2]) * 60 + int(text[3:5])


def _midnight(day: date, time_zone: str) -> datetime:
    return edge(datetime(day.year, day.month, day.day), time_zone, ends=False)  # noqa: DTZ001 - a wall time
