"""Plans, courses and the progress of long work on a terminal of eighty columns or more. Decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scheduler.core.civil import zone
from scheduler.core.timeline import Bar, Gate, Timeline
from scheduler.services.plans import OfferedPlan

_STAMP = "%a %d %b %H:%M"
#: How many characters wide the days of a course are: what its words leave of a line, but no fewer, and no more.
_LEAST, _MOST = 12, 36
#: What stands between and around three columns.
_FRAME = 8
_SIGNS = {"done": "●", "booked": "◉", "pencilled": "◌", "planned": "○", "broken": "✗"}
_LOST, _ENDS = "✕", "┃"
_POLLED_EVERY = 0.2


def show_plans(console: Console, offered: Sequence[OfferedPlan]) -> None:
    """The plans side by side, the best first, then each with its token."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("session")
    for rank in range(1, len(offered) + 1):
        table.add_column(f"plan {rank}" + (" (best)" if rank == 1 else ""), no_wrap=True)
    where = zone(offered[0].desk.loaded.site.time_zone)
    starts = [{each.session_id: each.start for each in plan.plan.sessions} for plan in offered]
    for each in sorted(offered[0].plan.sessions, key=lambda session: session.spec.index):
        label = escape(f"{each.spec.sequence}. {each.spec.name}")
        found = (plan.get(each.session_id) for plan in starts)
        table.add_row(label, *(start.astimezone(where).strftime(_STAMP) if start else "" for start in found))
    table.add_section()
    table.add_row("score", *(str(plan.plan.plan.cost) for plan in offered))
    console.print(table)
    for rank, plan in enumerate(offered, 1):
        parts = [f"{name.replace('_', ' ')} {points}" for name, points in plan.plan.plan.parts.items() if points]
        console.print(f"Plan {rank}: {', '.join(parts) or 'nothing against it'}.", highlight=False)
        console.print(f"  --book {plan.token}", highlight=False, markup=False, soft_wrap=True)


def show_timeline(console: Console, timeline: Timeline) -> None:
    """The course as a line a session: its window, and where it stands in it."""
    first, last = timeline.days
    said = [_said(bar) for bar in timeline.bars]
    labels = [f"{bar.sequence}. {bar.label}" for bar in timeline.bars]
    words = max(map(len, [*labels, *(_gate(gate) for gate in timeline.gates)])), max(map(len, said))
    width = max(_LEAST, min(_MOST, console.width - sum(words) - _FRAME))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=escape(timeline.title), title_justify="left")
    table.add_column("session")
    table.add_column(f"{first:%d %b %Y}", no_wrap=True)
    table.add_column(f"to {last:%d %b %Y}", no_wrap=True)
    phase = None
    for place, bar in enumerate(timeline.bars):
        _show_gates(table, timeline, place, width)
        if bar.phase != phase:
            phase = bar.phase
            table.add_row(f"[bold]{escape(phase)}[/bold]")
        table.add_row(escape(labels[place]), _line(bar, timeline, width), said[place])
    _show_gates(table, timeline, len(timeline.bars), width)
    console.print(table)
    legend = {**{sign: state for state, sign in _SIGNS.items()}, _LOST: "did not take place", _ENDS: "supply ends"}
    console.print("  ".join(f"{sign} {word}" for sign, word in legend.items()) + "  ░ window", highlight=False)


def _said(bar: Bar) -> str:
    """When the session's visit is and how it stands, and which of its visits did not count."""
    said = f"{bar.mark.start:{_STAMP}}, {bar.mark.state}" if bar.mark else ""
    return said + "".join(f"; {lost.word} {lost.start:%d %b}" for lost in bar.lost)


def _gate(gate: Gate) -> str:
    return f"gate: {gate.label}"


def _show_gates(table: Table, timeline: Timeline, place: int, width: int) -> None:
    """The gates that stand before the session at that place, or behind the last."""
    for gate in (each for each in timeline.gates if each.before == place):
        table.add_row(escape(_gate(gate)), ("═" if gate.hard else "─") * width, escape(gate.outcome))


def watch(console: Console, look: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """A bar for a job, until it is over; `look` says how it stands. Returns how it ended."""
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        while True:
            job = look()
            bar.update(task, completed=job["progress"], description=job["step"], refresh=True)
            if job["status"] not in {"queued", "running"}:
                return job
            time.sleep(_POLLED_EVERY)


def _line(bar: Bar, timeline: Timeline, width: int) -> str:
    """One session's days, as many characters wide as every other's."""
    first, last = timeline.days
    days = max(1, (last - first).days)
    cells = []
    for place in range(width):
        since = first + timedelta(days=place * days / width)
        until = first + timedelta(days=(place + 1) * days / width)
        inside = bar.earliest < until and (bar.latest or last) >= since
        cells.append("░" if inside else " ")
    signs = [(lost.start.date(), _LOST) for lost in bar.lost] + ([(bar.use_by, _ENDS)] if bar.use_by else [])
    for day, sign in [*signs, *([(bar.mark.start.date(), _SIGNS[bar.mark.state])] if bar.mark else [])]:
        cells[min((day - first).days * width // days, width - 1)] = sign
    return "".join(cells)
