"""Steps of the whole clock of processes, APScheduler's and the libraries' too, by the system's libfaketime."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Faketime:
    """What is loaded into the processes begun within `preloaded`, and by how much their clock is off."""

    def __init__(self, library: Path, folder: Path) -> None:
        if not library.is_file():
            raise SystemExit(f"{library} is not there; on Debian the package libfaketime has it")
        self._library, self._offset = library, folder / "faketime"
        self.step(0)

    def step(self, seconds: float) -> None:
        """Have their clock be off by so much; the monotonic one never is."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}")
        new.replace(self._offset)

    @contextmanager
    def preloaded(self) -> Iterator[None]:
        """Processes that begin within have it, and what is forked from them later."""
        added = {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        os.environ.update(added)
        try:
            yield
        finally:
            for name in added:
                del os.environ[name]
