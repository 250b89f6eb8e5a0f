"""Thousands of messages among kills, crashes, cut connections, bad providers and clocks that step; then the count.

Half of them are texts for an HTTP gateway, half are e-mails for an SMTP server.

Proves, and measures only how soon it goes on: none lost, none invented, repeats within their bound, and nothing that
began after a cancellation had committed. A repeat is what arrives although the provider had said yes to it before.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import URL, func, select, text, update
from sqlalchemy.orm import Session

from bench.databases import Database, postgresql, sqlite
from bench.faketime import Faketime
from bench.report import spread, table
from scheduler.core.call import Call
from scheduler.models import Appointment, Message
from scheduler.services import booking, opt_outs
from tests.clinic import Clinic
from tests.desk import book
from tests.messaging.sinks import sms_gateway, smtp_server
from tests.plumbing import postgres
from tests.postroom import messages, open_postroom
from tests.worker.crew import Crew, heap, now, until
from tests.worker.witness import begun_too_late, watch

ABOUT = "thousands of messages among kills, crashes, cuts, a bad provider and clock steps: what is lost or repeated"
SEED = 20300304
#: Nothing falls due before all are at work, when messages fall due one after the other.
_LATER, _SOON = timedelta(minutes=30), timedelta(seconds=15)
#: So many visits at one time; each has a therapist of its own.
_HOURS_BOOKED = 40
_NO_LIMITS: dict[str, Any] = {"quiet": {"from": "00:00", "to": "00:00"}, "caps": {"per_day": None, "per_week": None}}
_HOURS = ("09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00")
#: Visits whose messages are in one claim when they are chased.
_TOGETHER = 20
#: Of eight that are spoiled five fail, two hang and one is cut off; nobody's third try, or the end would be waited for.
_FAULTS, _SPOILED = ("failed",) * 5 + ("hang",) * 2 + ("cut",), 2
_CHANNELS = ("sms", "email")
#: What a provider has said yes by: a gateway that is cut off in the middle of its answer did so with the status.
_YES = {"sms": frozenset({"", "cut"}), "email": frozenset({""})}


def _contacts(place: int) -> dict[str, str]:
    """Whom each visit's messages reach: nobody else."""
    return {"sms": f"+1202555{place:04}", "email": f"pat{place}@example.org"}


def _cancelled(session: Session, call: Call, visit: UUID, _place: int) -> None:
    booking.cancel(session, replace(call, now=now()), visit, reason="ill", by="patient")


def _moved(session: Session, call: Call, visit: UUID, _place: int) -> None:
    """By the clinic's own clock: it takes no bookings years ahead."""
    start = session.get_one(Appointment, (call.organization_id, visit)).starts_at
    booking.reschedule(session, call, visit, start + timedelta(days=7))


def _opted_out(session: Session, call: Call, _visit: UUID, place: int) -> None:
    for address in _contacts(place).values():
        opt_outs.close(session, replace(call, now=now()), address, opt_outs.ALL, "bench")


#: After each of these nothing may begin of what was owed before.
_ENDS = {"cancel": _cancelled, "move": _moved, "opt-out": _opted_out}
#: Looks at what has arrived between two at the database: a second.
_LOOKS = 500
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL(:ours)"


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is the default; without faults: `--kills 0 --crashes 0 --cuts 0 --bad 0 --no-steps`."""
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--visits", type=int, default=40, help="that the messages are about")
    parser.add_argument("--cancelled", type=int, default=8, help="of them, early and in one go")
    parser.add_argument("--by", choices=sorted(_ENDS), default="cancel", help="what becomes of those")
    parser.add_argument("--chase", action="store_true", help="of each when its first message has arrived")
    parser.add_argument("--over", type=float, default=0.0, help="seconds over which they fall due; 0: all at once, now")
    parser.add_argument("--delay", type=float, default=0.01, help="seconds that the provider takes for each")
    parser.add_argument("--tick", type=int, default=1, help="of the workers, in seconds; an installation has 5")
    parser.add_argument("--lease", type=int, default=5, help="of the workers, in seconds; an installation has 60")
    parser.add_argument("--seed", type=int, default=SEED, help="of what the provider spoils")
    parser.add_argument("--at-once", type=int, default=1, help="on their way together in each worker")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--crashes", type=int, default=4, help="of the database, PostgreSQL only")
    parser.add_argument("--cuts", type=float, default=20.0, help="seconds of cutting all connections every 50 ms")
    parser.add_argument("--bad", type=float, default=0.08, help="share of tries that the providers spoil")
    parser.add_argument("--no-steps", dest="steps", action="store_false", help="leave the clock alone")
    parser.add_argument("--faketime", type=Path, help="libfaketimeMT.so.1: steps of the whole process's clock")
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--patience", type=float, default=1800.0, help="seconds until it is given up")


def run(chosen: argparse.Namespace) -> None:
    """Raise SystemExit when a promise was broken."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regimen-faults-")))
        address = None if chosen.database == "sqlite" else stack.enter_context(postgres.embedded())
        made = stack.enter_context(sqlite() if address is None else postgresql(address))
        gateway = stack.enter_context(sms_gateway())
        crew = stack.enter_context(Crew(made.url, gateway.url, folder))
        crew.settings["SCHEDULER_WORKER_AT_ONCE_UNSAFE"] = str(chosen.at_once)
        crew.settings["SCHEDULER_WORKER_TICK_SECONDS"] = str(chosen.tick)
        crew.settings["SCHEDULER_WORKER_LEASE_SECONDS"] = str(chosen.lease)
        faked = Faketime(chosen.faketime, folder) if chosen.faketime else None
        storm = Storm(chosen, made, address, crew, faked)
        mailbox = stack.enter_context(smtp_server())
        crew.mail_to(mailbox.host, mailbox.port)
        gateway.delay = mailbox.delay = chosen.delay
        gateway.fault = lambda document: storm.fate(document["id"], "sms")
        mailbox.fault = lambda key: storm.fate(key, "email")
        storm.rage()
        storm.judge()


@dataclass
class Storm:
    """One run: the faults in their turn, and what became of the messages."""

    chosen: argparse.Namespace
    database: Database
    address: URL | None
    crew: Crew
    faked: Faketime | None = None
    owed: list[UUID] = field(default_factory=list)
    #: Of all that arrived, in turn: which message, and whether it was said yes to.
    fates: list[tuple[str, bool]] = field(default_factory=list)
    committed: dict[UUID, datetime] = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)
    arrived: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    back_after: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.address is not None:
            postgres.make_durable(self.address, self.database.engine.url)
        self.clinic: Clinic = open_postroom(self.database.engine, **_NO_LIMITS)
        self.visits = self._booked()
        with Session(self.database.engine) as session, session.begin():
            session.execute(update(Message).values(status="sent", sent_at=Message.due_at))
        # An hour's leap is believed where no database has a clock of its own to bear it out; a day's never is.
        hours = timedelta(hours=2 if self.address is None else 1)
        self.owed = heap(
            self.clinic,
            self.visits,
            each=self.chosen.messages // self.chosen.visits,
            channels=_CHANNELS,
            good_for=hours,
        )
        watch(self.database.engine)
        if self.chosen.over:
            self._spread(now() + _LATER, self.owed)
        elif self.chosen.chase:
            self._spread(now() - timedelta(minutes=1), self._mingled())
        self.database.engine.dispose()
        self._counted = 0.0
        self._rng, self._lock = random.Random(self.chosen.seed), threading.Lock()

    def _booked(self) -> list[UUID]:
        for _ in range(1, -(-self.chosen.visits // _HOURS_BOOKED)):
            self.clinic.staff("therapist")
        slots = [f"2030-03-{4 + place // 8:02} {_HOURS[place % 8]}" for place in range(_HOURS_BOOKED)]
        booked = []
        for place in range(self.chosen.visits):
            contacts = [{"channel": name, "value": to, "purpose": "any"} for name, to in _contacts(place).items()]
            patient = self.clinic.patient(contacts=contacts)
            booked.append(book(self.clinic, patient, "session", slots[place % _HOURS_BOOKED]).id)
        return booked

    def _mingled(self) -> list[UUID]:
        """Twenty visits at a time, of each one message after the other: when one arrives, the next are claimed."""
        each, mingled = len(self.owed) // len(self.visits), list[UUID]()
        for first in range(0, len(self.owed), each * _TOGETHER):
            some = self.owed[first : first + each * _TOGETHER]
            mingled += [key for number in range(each) for key in some[number::each]]
        return mingled

    def _spread(self, first: datetime, keys: Sequence[UUID]) -> None:
        """Let them fall due one after the other."""
        apart = timedelta(seconds=self.chosen.over or 1) / len(keys)
        whose = {"organization_id": self.clinic.call.organization_id}
        rows = [whose | {"id": key, "due_at": first + place * apart} for place, key in enumerate(keys)]
        with Session(self.database.engine) as session, session.begin():
            session.execute(update(Message), rows)

    def fate(self, key: str, channel: str) -> str:
        """What becomes of a message that has just arrived by that channel."""
        with self._lock:
            self.arrived[key] += 1
            is_bad = self.arrived[key] <= _SPOILED and self._rng.random() < self.chosen.bad
            name = self._rng.choice(_FAULTS) if is_bad else ""
            self.fates.append((key, name in _YES[channel]))
            self.counts[name] += 1
        return name

    def rage(self) -> None:
        """Everything in its turn, until nothing is open."""
        with nullcontext() if self.faked is None else self.faked.preloaded():
            self.crew.hire(self.chosen.workers)
        if self.chosen.over:
            self._at_work(self.chosen.workers)
            self._spread(now() + _SOON, self.owed)
        deeds = self._deeds()
        end = time.monotonic() + self.chosen.patience
        while (left := self._open()) or deeds:
            self._hold_the_count()
            if time.monotonic() > end:
                raise SystemExit(f"{left} messages are still open\n{self._whose_turn()}\n{self.crew.log[-3000:]}")
            # What a cancellation takes away at once is no progress: the faults would all come together.
            if deeds and 1 - left / self._wanted() >= deeds[0][0]:
                deeds.pop(0)[1]()
            else:
                time.sleep(0.1)
        began = time.monotonic()
        codes = self.crew.dismiss()
        self.counts["seconds to end"] = round(time.monotonic() - began)
        if any(codes):
            raise SystemExit(f"workers ended with {codes}")

    def _deeds(self) -> list[tuple[float, Callable[[], None]]]:
        """What happens, and at which share of the messages; the last of it while there is still much to do."""
        kills, crashes = self.chosen.kills, self.chosen.crashes if self.address is not None else 0
        deeds: list[tuple[float, Callable[[], None]]] = [(0.0 if self.chosen.chase else 0.02, self._cancel)]
        deeds += [(0.05 + 0.7 * place / max(1, kills), self._kill) for place in range(kills)]
        deeds += [(0.1 + 0.6 * place / max(1, crashes), self._crash) for place in range(crashes)]
        if self.address is not None and self.chosen.cuts:
            deeds.append((0.45, self._cut))
        if self.chosen.steps:
            deeds.append((0.6, self._step))
        return sorted(deeds, key=lambda deed: deed[0])

    def _open(self) -> int:
        wanted = select(func.count()).where(Message.status.in_(("pending", "sending")), Message.rule.like("heap-%"))
        with Session(self.database.engine) as session:
            return session.scalar(wanted) or 0

    def _hold_the_count(self) -> None:
        """Once a second: no message is gone, and none is sent that no provider has said yes to."""
        if time.monotonic() < self._counted + 1:
            return
        with Session(self.database.engine) as session:
            ends = select(Message.status, func.count()).where(Message.rule.like("heap-%")).group_by(Message.status)
            found = dict(session.execute(ends).tuples().all())
        yes = {key for key, is_yes in list(self.fates) if is_yes}
        if sum(found.values()) != len(self.owed) or found.get("sent", 0) > len(yes):
            raise SystemExit(f"the count does not hold: {found} of {len(self.owed)}, {len(yes)} accepted")
        self._counted = time.monotonic()
        self.counts["looks"] += 1

    def _whose_turn(self) -> str:
        """What the open ones wait for."""
        rows = messages(self.clinic, Message.id.in_(self.owed), Message.status.in_(("pending", "sending")))
        return "\n".join(f"{row.status} {row.attempts} {row.due_at} {row.lease_until} {row.reason}" for row in rows)

    def _wanted(self) -> int:
        off = select(func.count()).where(Message.status == "suppressed", Message.rule.like("heap-%"))
        with Session(self.database.engine) as session:
            return max(1, len(self.owed) - (session.scalar(off) or 0))

    def _at_work(self, count: int) -> None:
        """Wait until so many are: who is just starting can be neither killed at work nor back after a crash."""
        until(lambda: len(self.crew.at_work()) >= count, self.crew)

    def _cancel(self) -> None:
        for place, key in enumerate(self.visits[: self.chosen.cancelled]):
            if self.chosen.chase:
                self._await(key)
            self._end(key, place)
            self.committed[key] = now()

    def _end(self, visit: UUID, place: int) -> None:
        end = _ENDS[self.chosen.by]
        self.clinic.do(lambda session, call: end(session, call, visit, place))

    def _await(self, visit: UUID) -> None:
        """Wait until the first of its messages has arrived. The database is asked seldom: it has enough to do."""
        each, place = len(self.owed) // len(self.visits), self.visits.index(visit)
        mine = set(map(str, self.owed[place * each : (place + 1) * each]))
        looks = 0
        while not any(key in self.arrived for key in mine) and (looks % _LOOKS or self._open()):
            looks += 1
            time.sleep(0.002)

    def _kill(self) -> None:
        self._at_work(1)
        self.counts["kills"] += self.crew.kill_one_at_work()
        self.crew.hire(self.chosen.workers - len(self.crew.hands))

    def _crash(self) -> None:
        assert self.address is not None  # noqa: S101 - only then is it asked for
        self._at_work(min(2, self.chosen.workers))
        postgres.crash(self.address)
        postgres.start(self.address)
        back, known = time.monotonic(), len(self.fates)
        self.counts["crashes"] += 1
        self.database.engine.dispose()
        while len(self.fates) == known and self._open():
            time.sleep(0.02)
        self.back_after.append(time.monotonic() - back)

    def _cut(self) -> None:
        end = time.monotonic() + self.chosen.cuts
        with self.database.engine.connect() as killer:
            ours = [killer.scalar(text("SELECT pg_backend_pid()"))]
            while time.monotonic() < end:
                self.counts["connections"] += len(killer.execute(text(_CUT), {"ours": ours}).all())
                killer.rollback()
                time.sleep(0.05)

    def _step(self) -> None:
        far = (datetime(2200, 1, 1, tzinfo=UTC) - now()).total_seconds()
        step = self.crew.step_clock if self.faked is None else self.faked.step
        for seconds in (86_400, 0, -3600, 0, 3600, 0, far, 0):
            open_before = self._open()
            step(seconds)
            time.sleep(4)
            self.counts["steps"] += 1
            self.moved.append(f"{seconds:+.0f} s: {open_before - self._open()}")

    def judge(self) -> None:
        """The count."""
        ours = set(map(str, self.owed))
        said_yes, repeats = set[str](), 0
        for key, is_yes in self.fates:
            repeats += key in said_yes
            if is_yes:
                said_yes.add(key)
        ends = Counter(row.status for row in messages(self.clinic, Message.id.in_(self.owed)))
        invented = said_yes - ours - {str(row.id) for row in messages(self.clinic, Message.rule.not_like("heap-%"))}
        bound = self.counts["kills"] * self.chosen.at_once
        lost = len(self.owed) - ends["sent"] - ends["suppressed"]
        late = self._after_cancel()
        counts = self.counts
        spoiled = ", ".join(f"{counts[name]} {name}" for name in ("failed", "cut", "hang"))
        rows = {
            "messages, and how they ended": f"{len(self.owed):,}: {dict(ends)}",
            "kill -9, crashes of the database, connections cut, clock steps": ", ".join(
                str(counts[name]) for name in ("kills", "crashes", "connections", "steps")
            ),
            "tries that the providers spoiled": spoiled,
            "by channel": ", ".join(f"{count:,} by {name}" for name, count in self._by_channel().items()),
            "lost; invented": f"{lost}; {len(invented)}",
            "counts in between, about one a second, that held": counts["looks"],
            "repeats (at most)": f"{repeats} ({bound})",
            "visits ended early; of them with messages sent and called off": f"{len(self.committed)}; {self._raced()}",
            "begun after that had committed, or not taken back": len(late),
            "sent after they were due, p50 / p95 / p99 s; most": self._lateness(),
            "ended in the 4 s after the clock was off by": ", ".join(self.moved),
            "first arrival after a crash, s": ", ".join(f"{each:.1f}" for each in self.back_after),
            "SIGTERM to the last one's end, s": counts["seconds to end"],
        }
        table(["what", "count"], [[name, value] for name, value in rows.items()])
        sent = {str(row.id) for row in messages(self.clinic, Message.status == "sent", Message.rule.like("heap-%"))}
        if lost or invented or late or repeats > bound or sent - said_yes:
            raise SystemExit("\n".join(["a promise was broken", *late]))

    def _by_channel(self) -> Counter[str]:
        """By which channels those left that were sent."""
        return Counter(
            row.channel for row in messages(self.clinic, Message.status == "sent", Message.id.in_(self.owed))
        )

    def _lateness(self) -> str:
        """Of what was sent."""
        rows = messages(self.clinic, Message.status == "sent", Message.id.in_(self.owed))
        late = [(row.sent_at - row.due_at).total_seconds() for row in rows if row.sent_at is not None]
        return f"{spread(late)}; {max(late):.1f}"

    def _raced(self) -> int:
        """Of how many cancelled visits the cancellation fell among their messages."""
        rows = messages(self.clinic, Message.id.in_(self.owed), Message.appointment_id.in_(self.committed))
        ends = {(row.appointment_id, row.status) for row in rows}
        return sum({(key, "sent"), (key, "suppressed")} <= ends for key in self.committed)

    def _after_cancel(self) -> list[str]:
        """What of a cancelled visit began after its commit, or was accepted and is taken back by nothing."""
        owed = messages(self.clinic, Message.id.in_(self.owed), Message.appointment_id.in_(self.committed))
        since = {row.id: self.committed[row.appointment_id] for row in owed if row.appointment_id is not None}
        late = begun_too_late(self.clinic, since, self.arrived.elements())
        corrected = {row.appointment_id for row in messages(self.clinic, Message.kind == "correction")}
        accepted = {key for key, is_yes in self.fates if is_yes}
        taken_back = [row for row in owed if row.called_off_at is not None and str(row.id) in accepted]
        return late + [f"{row.id} was not taken back" for row in taken_back if row.appointment_id not in corrected]
