"""Steps of the clock: back sends nothing twice, ahead sends nothing early and says so. On both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.messaging import DeliveryError, Envelope
from scheduler.models import Message, WorkerHeartbeat
from scheduler.worker import Worker, wall_clock
from scheduler.worker.clockguard import STOOD_BY, ClockGuard
from scheduler.worker.hands import Clock as Telling
from tests.clinic import Clinic
from tests.desk import book
from tests.plumbing.clock import Clock
from tests.postroom import begin, claim, hurry, messages, move, open_postroom

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: When everybody is awake.
NO_NIGHT = {"quiet": {"from": "00:00", "to": "00:00"}}


class Post:
    drops_repeats = True

    def __init__(self) -> None:
        self.carried: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.fault: DeliveryError | None = None

    def deliver(self, envelope: Envelope) -> str:
        self.carried.append(envelope.message_id)
        self.meanwhile()
        if self.fault is not None:
            raise self.fault
        return "p"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    clinic = open_postroom(engine, **NO_NIGHT)
    book(clinic, clinic.patient(), "session", "2030-03-11 09:00")
    return clinic


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def hire(clinic: Clinic, post: Post) -> Iterator[Callable[..., Worker]]:
    hired: list[Worker] = []

    def make(clock: Telling, guard: ClockGuard, **options: int) -> Worker:
        ways = {"email": post, "sms": post}
        hired.append(Worker(lambda: Session(clinic.engine), ways, clock=clock, guard=guard, **options))
        return hired[-1]

    yield make
    for worker in hired:
        worker.close()


class Believed(ClockGuard):
    """Without the comparison with the database, whose clock no test can set."""

    def _skew(self, _session: Session) -> None:
        return None


def test_a_leap_ahead_holds_everything_until_it_is_mended(
    clinic: Clinic, post: Post, hire: Callable[..., Worker], caplog: pytest.LogCaptureFixture
) -> None:
    clock, passed = Clock(clinic.call.now), [0.0]
    worker = hire(clock, Believed(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0]))
    worker.tick()
    told = list(post.carried)
    assert told, "the news of the booking"
    tick = pulse(clinic)
    passed[0] += 5
    clock.move(DAY * 9)  # every reminder would be due
    for _ in range(3):
        worker.keep_house()
        assert worker.tick() == 0
    assert (post.carried, pulse(clinic)) == (told, tick), "and the pulse stands still, which operators see"
    assert {row.status for row in messages(clinic)} == {"sent", "pending"}
    assert caplog.text.count("the clock has leapt ahead") >= 3
    clock.move(-DAY * 9)
    worker.tick()
    assert post.carried == told
    passed[0] += 9 * DAY.total_seconds()  # now the time has really come
    clock.move(DAY * 9)
    worker.tick()
    assert len(post.carried) > len(told)


def test_the_year_2200_ends_nothing(clinic: Clinic, post: Post, hire: Callable[..., Worker]) -> None:
    clock, passed = Clock(clinic.call.now), [0.0]
    worker = hire(clock, Believed(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0]))
    worker.tick()
    told, ends = list(post.carried), Counter(row.status for row in messages(clinic))
    clock.set(datetime(2200, 1, 1, tzinfo=UTC))
    for _ in range(3):
        passed[0] += 5
        worker.keep_house()
        assert worker.tick() == 0
    clock.set(clinic.call.now + timedelta(seconds=passed[0]))
    worker.keep_house()
    worker.tick()
    assert post.carried == told != []
    assert Counter(row.status for row in messages(clinic)) == ends, "nothing was thought of no more use"
    assert ends["pending"] > 0


def test_a_step_back_sends_nothing_again(clinic: Clinic, post: Post, hire: Callable[..., Worker]) -> None:
    clock, passed = Clock(clinic.call.now), [0.0]
    worker = hire(clock, Believed(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0]))
    hurry(clinic, clinic.call.now)
    worker.tick()
    told = sorted(post.carried)
    for step in (-HOUR, HOUR, -HOUR, -DAY, DAY + HOUR + timedelta(seconds=30)):
        clock.move(step)
        passed[0] += 5
        worker.tick()
        assert not worker._is_held(), "set right again, it has not leapt"
    assert sorted(post.carried) == told
    assert len(set(told)) == len(told) > 0


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("ahead", "holds"), [(DAY, True), (timedelta(minutes=5), True), (timedelta(0), False), (-HOUR, True)]
)
def test_a_clock_far_from_the_databases_sends_nothing(clinic: Clinic, ahead: timedelta, *, holds: bool) -> None:
    guard = ClockGuard(lambda: Session(clinic.engine), lambda: wall_clock() + ahead)
    assert guard.holds() is holds


def test_a_leap_in_the_middle_of_a_batch_ends_nothing_that_was_due(
    clinic: Clinic, post: Post, hire: Callable[..., Worker]
) -> None:
    hurry(clinic, clinic.call.now)
    clock, passed = Clock(clinic.call.now), [0.0]
    worker = hire(clock, Believed(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0]), at_once=1)

    def leap() -> None:
        clock.move(DAY * 9)  # everything else is of no use by then
        raise DeliveryError("busy", permanent=False)

    post.meanwhile = leap
    worker.tick()
    assert len(post.carried) == 1
    (failed,) = messages(clinic, Message.id == UUID(post.carried[0]))
    assert failed.due_at == clinic.call.now + timedelta(minutes=1), "tried again by the time as it really is"
    assert {row.status for row in messages(clinic)} <= {"sent", "pending", "suppressed"}
    post.meanwhile = lambda: None
    clock.move(-DAY * 9)
    worker.tick()
    assert len(set(post.carried)) == len(post.carried) > 1, "and all the others now"


class Asked(ClockGuard):
    """What the database says of the clock is the test's to say."""

    says = 2700.0

    def _skew(self, _session: Session) -> float:
        return self.says


def test_less_than_an_hour_ends_nothing_until_the_database_was_asked(
    clinic: Clinic, post: Post, hire: Callable[..., Worker]
) -> None:
    hurry(clinic, clinic.call.now, good_for=timedelta(minutes=30))
    owed = {row.id for row in messages(clinic, Message.status == "pending")}
    clock, passed = Clock(clinic.call.now), [0.0]
    guard = Asked(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0])
    guard.says = 0.0
    worker = hire(clock, guard, at_once=1)
    post.meanwhile = lambda: clock.move(timedelta(minutes=45)) if len(post.carried) == 1 else None
    worker.tick()
    guard.says = Asked.says
    assert (len(post.carried), worker.tick()) == (1, 0)
    ends = {row.status for row in messages(clinic, Message.id.in_(owed))}
    assert ends <= {"sent", "pending", "sending", "suppressed"}, "nothing was thought too late"
    clock.move(-timedelta(minutes=45))
    passed[0] += 600
    clock.move(timedelta(minutes=10))
    guard.says = 0.0
    worker.tick()
    assert len(set(post.carried)) == len(post.carried) > 1
    assert {row.status for row in messages(clinic, Message.id.in_(owed))} <= {"sent", "suppressed"}


def test_a_clock_that_the_database_bears_out_is_believed(
    clinic: Clinic, post: Post, hire: Callable[..., Worker]
) -> None:
    clock, passed = Clock(clinic.call.now), [0.0]
    guard = Asked(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0])
    guard.says = 0.0
    worker = hire(clock, guard)
    worker.tick()
    clock.move(timedelta(minutes=45))
    assert guard.believed() == clinic.call.now, "before it was asked"
    worker.tick()
    assert not guard.has_leapt()
    assert guard.believed() == clock()


def test_who_began_by_a_wrong_clock_sees_a_leap_once_it_was_set_right(
    clinic: Clinic, post: Post, hire: Callable[..., Worker]
) -> None:
    hurry(clinic, clinic.call.now, good_for=timedelta(minutes=30))
    clock, passed = Clock(clinic.call.now + DAY), [0.0]
    guard = Asked(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0])
    guard.says = DAY.total_seconds()
    worker = hire(clock, guard, at_once=1)
    assert worker.tick() == 0
    clock.move(-DAY)
    guard.says = 0.0
    post.meanwhile = lambda: clock.move(timedelta(minutes=45)) if len(post.carried) == 1 else None
    worker.tick()
    assert len(post.carried) == 1
    assert "expired_unsent" not in {row.status for row in messages(clinic)}, "nothing was thought too late"


def test_an_hour_that_nobody_bears_out_is_doubted_before_it_is_believed(
    clinic: Clinic, post: Post, hire: Callable[..., Worker]
) -> None:
    hurry(clinic, clinic.call.now, good_for=timedelta(minutes=30))
    clock, passed = Clock(clinic.call.now), [0.0]
    guard = Believed(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0])
    worker = hire(clock, guard, at_once=1)
    post.meanwhile = lambda: clock.move(timedelta(minutes=45)) if len(post.carried) == 1 else None

    def wait(time: timedelta) -> None:
        passed[0] += time.total_seconds()
        clock.move(time)

    for _ in range(3):
        worker.tick()
        wait(timedelta(minutes=2))
    assert len(post.carried) == 1
    assert "expired_unsent" not in {row.status for row in messages(clinic)}
    clock.move(-timedelta(minutes=45))  # set right in time
    worker.tick()
    assert len(set(post.carried)) == len(post.carried) > 1
    clock.move(timedelta(minutes=45))  # and once more, to stay: the machine was asleep
    assert worker._is_held()
    wait(STOOD_BY / 2)
    clock.move(timedelta(minutes=10))  # it is not even steady
    assert worker._is_held()
    wait(STOOD_BY - timedelta(seconds=1))
    assert worker._is_held()
    wait(timedelta(seconds=1))
    assert not worker._is_held()
    assert guard.believed() == clock()


def test_who_began_ahead_where_nobody_bears_it_out_sees_the_next_leap(
    clinic: Clinic, hire: Callable[..., Worker]
) -> None:
    clock, passed = Clock(clinic.call.now + HOUR), [0.0]
    worker = hire(clock, Believed(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0]))
    worker.tick()
    clock.move(-HOUR)
    for _ in range(2):
        assert not worker._is_held(), "what is right is not held"
        passed[0] += STOOD_BY.total_seconds()
        clock.move(STOOD_BY)
    clock.move(HOUR / 2)
    assert worker._is_held()


@pytest.mark.parametrize("of", ["lease", "pause", "news"])
def test_what_was_written_while_the_clock_was_ahead_is_no_later_for_it(
    clinic: Clinic, post: Post, hire: Callable[..., Worker], of: str
) -> None:
    """By somebody who began by that clock, and has died since."""
    now, ahead = clinic.call.now, Clock(clinic.call.now + HOUR)
    gone = hire(ahead, Believed(lambda: Session(clinic.engine), ahead))
    if of == "lease":
        (letter,) = claim(clinic, ahead())
        assert begin(clinic, letter, ahead())
        gone._beat()
    elif of == "pause":
        post.fault = DeliveryError("busy", permanent=False)
        gone.tick()
        post.fault = None
        post.carried.clear()
    else:
        gone.tick()
        visit = messages(clinic)[0].appointment_id
        assert visit is not None
        post.carried.clear()
        move(clinic, visit, "2030-03-12 09:00", now=ahead())
    reminders = [row.due_at for row in messages(clinic, Message.rule == "remind_24h", Message.status == "pending")]
    clock, passed = Clock(now + MINUTE), [0.0]
    worker = hire(clock, Believed(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0]))
    worker.tick()
    clock.move(3 * MINUTE)
    passed[0] = 180
    worker.tick()
    told = {row.kind for row in messages(clinic, Message.id.in_([UUID(key) for key in post.carried]))}
    assert told == {"rescheduled" if of == "news" else "booked"}, "and not an hour later"
    assert reminders == [
        row.due_at for row in messages(clinic, Message.rule == "remind_24h", Message.status == "pending")
    ], "which have a time of their own"


def test_a_lease_of_who_is_alive_is_not_taken_when_the_clock_goes_back(
    clinic: Clinic, post: Post, hire: Callable[..., Worker]
) -> None:
    clock, passed = Clock(clinic.call.now + HOUR), [0.0]
    holder, other = (
        hire(clock, Believed(lambda: Session(clinic.engine), clock, stopwatch=lambda: passed[0])) for _ in range(2)
    )
    other._is_held()  # it sees the time, and no message

    def meanwhile() -> None:
        if len(post.carried) == 1:
            clock.move(-HOUR)
            for _ in range(3):
                other.tick()

    post.meanwhile = meanwhile
    holder.tick()
    assert len(post.carried) == 1
    assert [row.status for row in messages(clinic, Message.rule == "booked")] == ["sent"]


def test_a_clock_set_back_between_two_workers_is_noticed(
    clinic: Clinic, hire: Callable[..., Worker], caplog: pytest.LogCaptureFixture
) -> None:
    for moved, noticed in ((DAY, False), (HOUR, True)):
        clock = Clock(clinic.call.now + moved)
        hire(clock, Believed(lambda: Session(clinic.engine), clock)).tick()
        assert ("the clock has gone back by 82800 s since a worker last ticked" in caplog.text) is noticed


def pulse(clinic: Clinic) -> object:
    with Session(clinic.engine) as session:
        return session.scalars(select(WorkerHeartbeat.ticked_at)).one()
