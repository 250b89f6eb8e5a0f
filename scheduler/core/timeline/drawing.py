"""The timeline as an SVG: shapes and hatching carry the meaning, so that it reads on paper and without color.

No script, no link, no outside font: a picture that can be shown anywhere. Whatever text comes in is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from xml.sax.saxutils import escape

from scheduler.core.timeline.values import WORDS, Bar, Gate, Kind, Mark, State, Timeline, described

WIDTH, LEFT, RIGHT, TOP, ROW, GATE, PHASE = 1000, 240, 24, 84, 28, 22, 20
_LEGEND = 74
_SPACE = WIDTH - LEFT - RIGHT
_KINDS: tuple[tuple[Kind, str], ...] = (("dosing", "dose"), ("integration", "integration"), ("other", "other visit"))
#: About as wide is a letter, and one of the title.
_LETTER, _TITLE_LETTER = 6.4, 9.6
#: A gate's words leave so much of its line to be seen.
_GATE_LINE = 60
#: As many week lines at most carry a date.
_DATES = 9

_STYLE = (
    "text{font:12px system-ui,Helvetica,Arial,sans-serif;fill:#1a1a1a}.small{font-size:10.5px;fill:#444}"
    ".title{font-size:16px;font-weight:600}.phase{font-size:11px;font-weight:600;fill:#333}.when{font-size:10.5px;fill:#222}"
    ".when,.phase,.said{stroke:#fff;stroke-width:3px;paint-order:stroke}"
    ".week{stroke:#d5d5d5;stroke-width:1}.window{fill:url(#hatch);stroke:#777;stroke-width:.8}"
    ".target{stroke:#555;stroke-width:1.4}.today{stroke:#000;stroke-width:1.2;stroke-dasharray:2 3}"
    ".gate{stroke:#000;stroke-width:1.4}.soft{stroke-dasharray:7 4}.done{fill:#1a1a1a;stroke:#1a1a1a;stroke-width:1.6}"
    ".booked{fill:url(#dense);stroke:#1a1a1a;stroke-width:1.8}.planned{fill:#fff;stroke:#1a1a1a;stroke-width:2.2}"
    ".pencilled{fill:#fff;stroke:#1a1a1a;stroke-width:1.4;stroke-dasharray:3 2}"
    ".broken{fill:#fff;stroke:#1a1a1a;stroke-width:1.8}.lost{stroke:#1a1a1a;stroke-width:1.3}.use{stroke:#1a1a1a;stroke-width:2}.phase-edge{stroke:#333;stroke-width:2.5}.cross{stroke:#1a1a1a;stroke-width:2.2}"
)
_PATTERNS = (
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#fafafa"/><line x1="0" y1="0" x2="0" y2="6" stroke="#c4c4c4"/></pattern>'
    '<pattern id="dense" width="3" height="3" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<rect width="3" height="3" fill="#e4e4e4"/><line x1="0" y1="0" x2="0" y2="3" stroke="#555" stroke-width="1.5"/>'
    "</pattern>"
)


def draw(timeline: Timeline) -> str:
    """The whole picture."""
    return "".join(_Drawing(timeline).parts())


class _Drawing:
    """Where everything lies: rows from top to bottom, days from left to right."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        first, last = timeline.days
        self._first = first - timedelta(days=first.weekday())
        self._days = max(14, (last - self._first).days + 2)
        self._tops, self._gates = self._rows()
        ends = [TOP, *(top + ROW for top in self._tops), *(top + GATE for _, top in self._gates)]
        self._bottom = max(ends) + 6

    def parts(self) -> Iterator[str]:
        height = self._bottom + _LEGEND
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'role="img" aria-labelledby="title desc">'
        )
        yield f'<title id="title">{escape(self._timeline.title)}</title>'
        yield f'<desc id="desc">{escape(" ".join(described(self._timeline)))}</desc>'
        yield f"<style>{_STYLE}</style><defs>{_PATTERNS}</defs>"
        yield f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        yield _text(16, 28, _short(self._timeline.title, int((WIDTH - 32) / _TITLE_LETTER)), "title")
        yield _text(16, 46, f"Times are {self._timeline.time_zone} wall time.", "small")
        yield from self._phases()
        yield from self._weeks()
        yield from self._today()
        for bar, top in zip(self._timeline.bars, self._tops, strict=True):
            yield from self._bar(bar, top)
        for gate, top in self._gates:
            yield from self._gate(top, gate.label, gate.outcome, hard=gate.hard)
        yield from self._legend()
        yield "</svg>"

    def _rows(self) -> tuple[list[int], list[tuple[Gate, int]]]:
        """The top of each session's row, and of each gate between them."""
        tops, gates, y = [], [], TOP
        for place in range(len(self._timeline.bars) + 1):
            for gate in (each for each in self._timeline.gates if each.before == place):
                gates.append((gate, y))
                y += GATE
            bars = self._timeline.bars
            if place < len(bars) and (place == 0 or bars[place - 1].phase != bars[place].phase):
                y += PHASE
            tops.append(y)
            y += ROW
        return tops[: len(self._timeline.bars)], gates

    def _x(self, day: date, share: float = 0.0) -> float:
        return round(LEFT + _SPACE * ((day - self._first).days + share) / self._days, 1)

    def _weeks(self) -> Iterator[str]:
        weeks = range(0, self._days, 7)
        every = -(-len(weeks) // _DATES)
        for place, offset in enumerate(weeks):
            day = self._first + timedelta(days=offset)
            x = self._x(day)
            yield _line("week", x, TOP - 10, x, self._bottom)
            if place % every == 0:
                said = (
                    f"{day.day} {day:%b %Y}"
                    if place == 0 or (day.month == 1 and day.day <= 7 * every)
                    else f"{day.day} {day:%b}"
                )
                yield _text(x + 2, TOP - 14, said, "small")

    def _phases(self) -> Iterator[str]:
        """Each stretch of one phase as a band, every other one shaded, with its name at the side."""
        rows = list(zip(self._timeline.bars, self._tops, strict=True))
        for place, (phase, group) in enumerate(groupby(rows, key=lambda row: row[0].phase)):
            tops = [top for _, top in group]
            top = tops[0] - PHASE
            height = tops[-1] + ROW - top
            fill = "#f6f6f6" if place % 2 else "#fff"
            yield f'<rect x="8" y="{top}" width="{WIDTH - 16}" height="{height}" fill="{fill}"/>'
            yield _line("phase-edge", 12, top + 3, 12, tops[-1] + ROW - 3)
            yield _text(22, top + 15, _short(phase, int((WIDTH - 44) / _LETTER)), "phase")

    def _today(self) -> Iterator[str]:
        today = self._timeline.today
        if self._first <= today < self._first + timedelta(days=self._days):
            x = self._x(today, 0.5)
            yield _line("today", x, TOP - 26, x, self._bottom)
            yield _text(x, TOP - 30, "today", "small", anchor="middle")

    def _bar(self, bar: Bar, top: int) -> Iterator[str]:
        middle = top + ROW / 2
        words = next(line for line in described(Timeline("", "", self._timeline.today, (bar,))))
        yield f"<g><title>{escape(words)}</title>"
        yield _text(22, middle + 4, f"{bar.sequence}", "small")
        yield _text(44, middle + 4, _short(bar.label))
        end = bar.latest or self._first + timedelta(days=self._days - 1)
        left, right = self._x(bar.earliest), min(self._x(end, 1.0), WIDTH - RIGHT)
        if right > left:
            yield _window(left, middle, right - left)
        target = self._x(bar.target, 0.5)
        yield _line("target", target, middle - 8, target, middle + 8)
        if bar.use_by is not None:
            yield from _use_by(self._x(bar.use_by, 1.0), middle)
        for lost in bar.lost:
            yield from _lost(self._x(lost.start.date(), 0.5), middle)
        if bar.mark is not None:
            x = self._x(bar.mark.start.date(), 0.5)
            yield from _mark(x, middle, bar.kind, bar.mark.state)
            yield self._when(bar.mark, min(left, x), max(right, x) if right - left < _SPACE / 3 else x, middle)
        yield "</g>"

    def _when(self, mark: Mark, left: float, right: float, middle: float) -> str:
        """The time beside the mark and its window: after them where there is room, before them otherwise."""
        said = f"{mark.start:%a} {mark.start.day} {mark.start:%b %H:%M}"
        at, anchor = (right + 14, "start") if right + 130 < WIDTH else (left - 14, "end")
        return _text(at, middle + 4, said, "when", anchor=anchor)

    def _gate(self, top: int, label: str, outcome: str, *, hard: bool) -> Iterator[str]:
        middle = top + GATE / 2
        line = "gate" if hard else "gate soft"
        said = f"Gate: {label} — {outcome}" if hard else f"Review: {label} — {outcome}"
        told = _short(said, int((WIDTH - _GATE_LINE - 30) / _LETTER))
        begin = max(LEFT, 30 + len(told) * _LETTER)
        yield f"<g><title>{escape(said)}</title>" + _line(line, begin, middle, WIDTH - 12, middle)
        if hard:
            yield _line(line, begin, middle + 3, WIDTH - 12, middle + 3)
        yield _text(22, middle + 4, told, "said") + "</g>"

    def _legend(self) -> Iterator[str]:
        y, x = self._bottom + 26, 22
        for state in ("done", "booked", "pencilled", "planned", "broken"):
            yield from _mark(x + 6, y, "other", state)
            said = WORDS[state]
            yield _text(x + 20, y + 4, said, "small")
            x += 40 + 6 * len(said) + 14
        y, x = y + 26, 22
        for kind, said in _KINDS:
            yield from _mark(x + 6, y, kind, "done")
            yield _text(x + 20, y + 4, said, "small")
            x += 40 + 6 * len(said) + 14
        yield _window(x, y, 44) + _line("target", x + 22, y - 8, x + 22, y + 8)
        yield _text(x + 52, y + 4, "window and target", "small")
        yield _line("gate", x + 170, y, x + 200, y) + _line("gate", x + 170, y + 3, x + 200, y + 3)
        yield _text(x + 208, y + 4, "hard gate", "small")
        yield _line("gate soft", x + 276, y, x + 306, y) + _text(x + 314, y + 4, "soft review", "small")
        yield from _lost(x + 394, y)
        yield _text(x + 406, y + 4, "did not take place", "small")
        yield from _use_by(x + 520, y)
        yield _text(x + 528, y + 4, "supply to be given by", "small")


def _mark(x: float, y: float, kind: Kind, state: State) -> Iterator[str]:
    """A dose is a disc, an integration visit a triangle, any other a square; how it is filled says how firm it is."""
    if kind == "dosing":
        yield f'<circle class="{state}" cx="{x}" cy="{y}" r="7.5"/>'
    elif kind == "integration":
        yield f'<path class="{state}" d="M{x} {y - 7.5}L{round(x + 7.5, 1)} {y + 6}L{round(x - 7.5, 1)} {y + 6}Z"/>'
    else:
        yield f'<rect class="{state}" x="{round(x - 6.5, 1)}" y="{y - 6.5}" width="13" height="13"/>'
    if state == "broken":
        yield _line("cross", x - 9, y - 9, x + 9, y + 9) + _line("cross", x + 9, y - 9, x - 9, y + 9)


def _lost(x: float, y: float) -> Iterator[str]:
    """A visit that did not count: a small cross."""
    yield _line("lost", x - 5, y - 5, x + 5, y + 5) + _line("lost", x + 5, y - 5, x - 5, y + 5)


def _use_by(x: float, y: float) -> Iterator[str]:
    """The end of a supply: a wall, with feet that point back at the time before it."""
    yield (
        _line("use", x, y - 10, x, y + 10)
        + _line("use", x - 5, y - 10, x, y - 10)
        + _line("use", x - 5, y + 10, x, y + 10)
    )


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    x1, y1, x2, y2 = (round(each, 1) for each in (x1, y1, x2, y2))
    return f'<line class="{style}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _window(x: float, middle: float, width: float) -> str:
    return f'<rect class="window" x="{x}" y="{middle - 6}" width="{round(width, 1)}" height="12" rx="2"/>'


def _text(x: float, y: float, said: str, style: str = "", *, anchor: str = "start") -> str:
    how = (f' class="{style}"' if style else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}"{how}>{escape(said)}</text>'


def _short(label: str, most: int = 28) -> str:
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"
