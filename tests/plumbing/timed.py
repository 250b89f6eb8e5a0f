"""An application for a real server whose clock is a file: a test writes the time, and every process reads it there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from scheduler import create_app
from tests.plumbing.clock import Clock

#: The variable that names the file.
VARIABLE = "CLOCK_FILE"


@dataclass
class FileClock(Clock):
    """The same clock, told to everybody who reads the file."""

    path: Path = Path()

    def __post_init__(self) -> None:
        self.set(self.now)

    def move(self, by: timedelta) -> datetime:
        """Let time pass for everybody."""
        return self.set(self.now + by)

    def set(self, to: datetime) -> datetime:
        """Jump to an aware instant, all at once."""
        super().set(to)
        new = self.path.with_suffix(".new")
        new.write_text(self.now.isoformat())
        new.replace(self.path)
        return self.now


def told() -> datetime:
    """The time in the file."""
    return datetime.fromisoformat(Path(os.environ[VARIABLE]).read_text())


if VARIABLE in os.environ:
    app = create_app(clock=told)
