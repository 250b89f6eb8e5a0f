"""What the demonstration shows, on a terminal of eighty columns or more. Knows documents of the API, and no rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scheduler.demo import clinic
from scheduler.demo.seed import Progress as Told
from scheduler.demo.seed import Seeded
from scheduler.demo.story import Booked, Sent, to_wall

_STAMP = "%a %d %b %H:%M"
_ID = 36


@dataclass
class Screen:
    """Prints to `console`, chapter by chapter."""

    console: Console
    _chapter: int = 0

    def chapter(self, title: str, *lines: str) -> None:
        """A heading and what is to be seen under it."""
        self._chapter += 1
        self.console.print()
        self.console.rule(f"[bold]{self._chapter}. {title}", align="left")
        for line in lines:
            self.say(line)

    def say(self, line: str) -> None:
        """One paragraph."""
        self.console.print(Padding(line, (0, 0, 0, 2)), highlight=False)

    def called(self, method: str, path: str, status: int) -> None:
        """One call of the API."""
        short = "/".join("…" if len(part) == _ID else part for part in path.split("/"))
        self.say(f"[dim]{method} {short} → {status}[/dim]")

    @contextmanager
    def progress(self) -> Iterator[Told]:
        """A bar, for as long as this lasts."""
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=self.console, transient=not self.console.is_terminal) as bar:
            task = bar.add_task("")
            yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)

    def clinic(self, seeded: Seeded) -> None:
        """Who and what there is."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for heading in ("site", "time zone", "rooms", "staff"):
            table.add_column(heading)
        for site in clinic.SITES:
            staff = [
                f"{person.name}, {person.role}" + (f", {person.units} at once" if person.units > 1 else "")
                for person in clinic.STAFF
                if person.site == site.key
            ]
            rooms = "\n".join(name for name, _ in site.rooms)
            table.add_row(site.name, site.time_zone, rooms, "\n".join(staff))
        self._indent(table)
        self.say(
            f"{len(seeded.patient_ids)} patients, {seeded.visits} visits booked in the {clinic.WEEKS} weeks from "
            f"{seeded.first_day:%A %d %B %Y}: {seeded.load:.0%} of what could be booked."
        )

    def plans(self, plans: Sequence[Mapping[str, Any]], course: Mapping[str, Any], names: Mapping[str, str]) -> None:
        """The plans side by side, the best first, and who serves in it."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("session")
        for rank, _ in enumerate(plans, 1):
            table.add_column(f"plan {rank}" + (" (best)" if rank == 1 else ""), no_wrap=True)
        labels = _labels(course["sessions"])
        starts = [{each["session_id"]: each for each in plan["sessions"]} for plan in plans]
        for session in course["sessions"]:
            table.add_row(labels[session["id"]], *(_wall(found[session["id"]]) for found in starts))
        table.add_section()
        table.add_row("score", *(str(plan["score"]) for plan in plans))
        self._indent(table)
        parts = [f"{name.replace('_', ' ')} {points}" for name, points in plans[0]["score_parts"].items() if points]
        self.say(f"The lower the score, the better. Plan 1's: {', '.join(parts)}.")
        self.say(f"Who serves in plan 1: {_people(plans[0], names)}.")

    def refusal(self, problem: Mapping[str, Any]) -> None:
        """Why no plan exists."""
        self.say(f"[bold]{problem['detail']}[/bold]")
        for block in problem.get("blocking", ()):
            self.say(f"• {block['detail']}")
        for relaxation in problem.get("relaxations", ()):
            self.say(f"• it would fit with: {relaxation['change']}")

    def booked(self, booked: Booked) -> None:
        """How many visits now stand in the calendar, and how firmly."""
        firm = Counter(each["status"] for each in booked.appointments)
        behind = f", {firm['pending']} pencilled behind a gate that nobody has passed yet" if firm["pending"] else ""
        self.say(f"{firm['booked']} visits are booked{behind}.")

    def messages(self, booked: Booked, owed: Sequence[Mapping[str, Any]]) -> None:
        """What is owed for the visits up to the one that the story leads to, and how many more there are."""
        labels = _labels(booked.course["sessions"])
        visits = {each["id"]: labels[each["course_session_id"]] for each in booked.appointments}
        last = booked.appointments.index(booked.summit)
        near = {each["id"] for each in booked.appointments[: last + 1]}
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for heading in ("due", "message", "about", "by", ""):
            table.add_column(heading)
        zone = booked.location["time_zone"]
        shown = [each for each in owed if each["appointment_id"] in near or each["appointment_id"] is None]
        for each in shown:
            about = visits.get(each["appointment_id"], "the course")
            pending = each["status"] == "pending"
            state = "" if pending else f"not sent: {str(each['reason']).replace('_', ' ')}"
            style = None if pending else "dim"
            table.add_row(_stamp(each["due_at"], zone), _said(each["kind"]), about, each["channel"], state, style=style)
        self._indent(table)
        more = sum(each["status"] == "pending" for each in owed if each not in shown)
        then = f"And {more} more for the visits after that. " if more else ""
        self.say(f"{then}Times are those of {zone}.")

    def sent(self, news: Iterable[Sent]) -> list[Sent]:
        """Each message as it leaves, the instruction before the dose in full. Returns them."""
        seen: list[Sent] = []
        for (at, kind), group in groupby(news, key=lambda one: (one.at, one.message["kind"])):
            first, *others = group
            seen += [first, *others]
            text = first.message["text"]
            head = escape((text["subject"] or text["body"]).splitlines()[0])
            more = f" (and {len(others)} more)" if others else ""
            way = first.message["channel"] + more
            line = f"  {at:{_STAMP}}  [bold]{_said(kind):<18}[/bold] {way:<5}  [dim]{head}[/dim]"
            self.console.print(line, highlight=False, no_wrap=True, overflow="ellipsis")
            if kind == "night_before":
                name = f"{first.message['id']}.eml"
                self._indent(Panel(escape(text["body"].strip()), title=name, title_align="left", expand=False))
        return seen

    def address(self, url: str, key: str, variables: str) -> None:
        """How to go on by oneself."""
        self.say(f"The API:            [bold]{url}/v1[/bold]")
        self.say(f"Its documentation:  [bold]{url}/docs[/bold]")
        self.console.print(f"  The key:            {key}", highlight=False, soft_wrap=True)
        self.say(f"In another terminal, in this folder ({variables} holds address, key and ids):")
        self.console.print()
        for line in (
            f". {variables}",
            'curl -s -H "Authorization: Bearer $KEY" "$URL/v1/patients?query=robin"',
            'curl -s -H "Authorization: Bearer $KEY" "$URL/v1/appointments?patient_id=$PATIENT"',
            'curl -s -H "Authorization: Bearer $KEY" "$URL/v1/messages?patient_id=$PATIENT&status=pending"',
        ):
            self.console.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)
        self.console.print()

    def _indent(self, shown: Any) -> None:
        self.console.print(Padding(shown, (0, 0, 0, 2)))


def _labels(sessions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Session id to what people call it: dose 3, the integration after dose 3."""
    counts: Counter[str] = Counter()
    total = Counter(each["step"] for each in sessions)
    found = {}
    for each in sessions:
        counts[each["step"]] += 1
        name = each["step"].replace("_", " ")
        found[each["id"]] = f"{name} {counts[each['step']]}" if total[each["step"]] > 1 else name
    return found


def _people(plan: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Who serves, with the number of sessions of each."""
    sessions: Counter[str] = Counter()
    for session in plan["sessions"]:
        sessions.update({each["resource_id"] for each in session["participants"] if each["kind"] == "practitioner"})
    return ", ".join(f"{names[each]} ({count})" for each, count in sessions.most_common())


def _wall(session: Mapping[str, Any]) -> str:
    return datetime.fromisoformat(session["start"]).strftime(_STAMP)


def _stamp(instant: str, zone: str) -> str:
    return to_wall(instant, zone).strftime(_STAMP)


def _said(kind: str) -> str:
    return kind.replace("_", " ").replace("24h", "24 h").replace("72h", "72 h")
