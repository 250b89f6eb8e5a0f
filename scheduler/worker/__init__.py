"""The one long-running process: claims what is due, delivers it, keeps house. The way in; the work is in the modules.

A worker may die at any moment, and any number of them may run, in any process: all that is owed is in rows.
"""

from __future__ import annotations

from scheduler.worker.delivering import AT_ONCE, Worker
from scheduler.worker.hands import Clock, wall_clock
from scheduler.worker.letters import channels_of, write_letter
from scheduler.worker.process import build_ticker, run_worker, start_in_thread
from scheduler.worker.ticking import Ticker

__all__ = [
    "AT_ONCE",
    "Clock",
    "Ticker",
    "Worker",
    "build_ticker",
    "channels_of",
    "run_worker",
    "start_in_thread",
    "wall_clock",
    "write_letter",
]
