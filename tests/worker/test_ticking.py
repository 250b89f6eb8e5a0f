"""The clockwork of a worker: it ticks, it keeps house, it survives what goes wrong, and it knows when it is stuck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from apscheduler.schedulers import base

from scheduler.worker import Ticker, Worker, ticking, wall_clock
from scheduler.worker.jobs import Runner
from scheduler.worker.process import stopped
from scheduler.worker.webhooks import Courier
from tests.worker.crew import until


class Idle(Runner):
    """The lane of jobs, with none to do."""

    def __init__(self) -> None:
        pass

    @property
    def moved_at(self) -> float:
        return time.monotonic()

    def run_due(self) -> None:
        pass


class Home(Courier):
    """The lane of webhooks, with nobody to tell."""

    def __init__(self) -> None:
        pass

    @property
    def moved_at(self) -> float:
        return time.monotonic()

    def run_due(self) -> int:
        return 0


class Metronome(Worker):
    """A worker without a database: it counts."""

    def __init__(self) -> None:
        self.ticks, self.at_once, self.most_at_once = 0, 0, 0
        self.due: datetime | None = None
        self.moved_at = time.monotonic()
        self.rounds, self.mess = 0, False
        self.trouble: Exception | None = None
        self.jobs, self.webhooks = Idle(), Home()

    def tick(self) -> int:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.05)
        self.at_once -= 1
        self.ticks += 1
        if self.trouble is not None:
            raise self.trouble
        return 0

    def keep_house(self) -> None:
        self.rounds += 1
        if self.mess:
            raise RuntimeError

    @property
    def house_moved_at(self) -> float:
        return self.moved_at

    def next_due(self) -> datetime | None:
        due, self.due = self.due, None
        return due

    def tell(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def metronome() -> Metronome:
    return Metronome()


class TestClockwork:
    @pytest.fixture
    def wind(self, metronome: Metronome) -> Iterator[Callable[[float], Ticker]]:
        wound: list[Ticker] = []

        def make(seconds: float) -> Ticker:
            wound.append(Ticker(metronome, seconds=seconds))
            wound[-1].start()
            return wound[-1]

        yield make
        for ticker in wound:
            ticker.stop()

    def test_it_ticks_at_once_and_again_when_the_next_message_falls_due(
        self, metronome: Metronome, wind: Callable[[float], Ticker]
    ) -> None:
        metronome.due = wall_clock() + timedelta(seconds=0.4)
        due = metronome.due
        wind(3600)
        until(lambda: metronome.ticks == 2, "the second tick")
        assert wall_clock() >= due

    def test_a_due_time_beyond_the_interval_needs_no_tick_of_its_own(
        self, metronome: Metronome, wind: Callable[[float], Ticker]
    ) -> None:
        metronome.due = wall_clock() + timedelta(hours=2)
        ticker = wind(3600)
        until(lambda: metronome.ticks == 1 and metronome.due is None, "the first tick")
        assert {job.id for job in ticker._scheduler.get_jobs()} == {"tick", "chores", "jobs", "webhooks"}

    def test_a_tick_that_fails_is_followed_by_the_next(
        self, metronome: Metronome, wind: Callable[[float], Ticker]
    ) -> None:
        metronome.trouble = RuntimeError("the database is away")
        wind(0.1)
        until(lambda: metronome.ticks >= 3, "a third tick")

    def test_a_round_of_chores_that_fails_is_followed_by_the_next_and_stops_no_tick(
        self, metronome: Metronome, wind: Callable[[float], Ticker]
    ) -> None:
        metronome.mess = True
        wind(0.1)
        until(lambda: metronome.rounds >= 3 and metronome.ticks >= 3, "a third round")

    def test_there_are_never_two_ticks_at_once(self, metronome: Metronome, wind: Callable[[float], Ticker]) -> None:
        ticker = wind(0.06)
        threads = [threading.Thread(target=ticker._run) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: metronome.ticks >= 8, "eight ticks")
        assert metronome.most_at_once == 1

    def test_a_clock_that_was_set_back_stops_no_line(
        self, metronome: Metronome, wind: Callable[[float], Ticker], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ahead = [timedelta(days=1)]

        class Stepped(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Stepped:
                return super().now(tz) + ahead[0]

        monkeypatch.setattr(base, "datetime", Stepped)
        monkeypatch.setattr(ticking, "wall_clock", lambda: Stepped.now(UTC))
        monkeypatch.setattr(ticking, "_LOOK", 0.02)
        ticker = wind(3600)
        until(lambda: metronome.ticks == metronome.rounds == 1, "the first tick")
        planned = [job.next_run_time - wall_clock() for job in ticker._scheduler.get_jobs()]
        assert min(planned) > timedelta(minutes=50), "APScheduler would wait for that, and a day more"
        ahead[0] = timedelta(0)
        until(lambda: metronome.ticks == metronome.rounds == 2, "the second tick, whoever started it")

    def test_a_leap_of_the_clock_is_one_tick_and_not_all_that_it_skips(self, wind: Callable[[float], Ticker]) -> None:
        far = wall_clock() + timedelta(days=10)
        jobs = wind(3600)._scheduler.get_jobs()
        assert [len(job._get_run_times(far)) for job in jobs] == [1] * len(jobs) == [1] * 4

    def test_it_is_stuck_when_nothing_goes_forward(self, metronome: Metronome) -> None:
        ticker = Ticker(metronome, seconds=5)
        assert not ticker.is_stuck(60)
        for lane in (ticker._messages, ticker._chores):
            lane.seen -= 100
            assert not ticker.is_stuck(60), "something has moved"
            metronome.moved_at -= 100
            assert ticker.is_stuck(60)
            metronome.moved_at += 100
            lane.seen += 100


def test_a_provider_that_never_answers_keeps_no_worker_from_ending(metronome: Metronome) -> None:
    answer = threading.Event()
    metronome.close = lambda: answer.wait(60)
    ticker = Ticker(metronome, seconds=3600)
    ticker.start()
    assert not stopped(ticker, within=0.1)
    answer.set()
    until(lambda: not any(thread.name == "ending" for thread in threading.enumerate()), "the end")


def test_once_stopped_nothing_begins_that_was_in_hand(metronome: Metronome) -> None:
    """Whatever asked the database then would leave a connection open, for the engine is given up."""
    ticker = Ticker(metronome, seconds=3600)
    ticker.start()
    until(lambda: metronome.ticks == metronome.rounds == 1, "the first tick")
    ticker.stop()
    metronome.due = wall_clock()
    ticker._run()
    ticker._chores.run(metronome.keep_house)
    assert (metronome.ticks, metronome.rounds) == (1, 1)
    assert metronome.due is not None, "somebody asked when the next is due"
