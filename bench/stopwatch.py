"""How time is taken: of one call, of a server's workers, and as in a process that was never asked. Shows nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from scheduler import settle_down
from scheduler.database import engine_options, look
from scheduler.services.rehearsal import rehearse
from tests.plumbing.servers import Server

_Found = TypeVar("_Found")
_TICKS = os.sysconf("SC_CLK_TCK")


def timed(act: Callable[[], _Found]) -> tuple[float, float, _Found]:
    """Milliseconds on the wall, and of this process's CPU; and what came of it."""
    began, ran = time.perf_counter(), time.process_time()
    found = act()
    return (time.perf_counter() - began) * 1000, (time.process_time() - ran) * 1000, found


def worker_cpu(api: Server) -> float:
    """The CPU seconds of the server's workers so far."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in api.worker_pids())
    return sum(int(each[11]) + int(each[12]) for each in fields) / _TICKS


def forget() -> None:
    """Forget all that the product remembers between calls."""
    for name, module in list(sys.modules.items()):
        for found in vars(module).values() if name.startswith("scheduler.") else ():
            if isinstance(found, _lru_cache_wrapper):
                found.cache_clear()


@contextmanager
def unasked(url: str) -> Iterator[Engine]:
    """An engine as in a process that has begun and was never asked."""
    engine = create_engine(url, **engine_options(url))
    forget()
    with Session(engine) as session:
        look(session)
        rehearse(session, datetime.now(UTC))  # as every process does before it serves
    settle_down()
    yield engine
    engine.dispose()
