"""Zone rules of our own making: a folder of TZif files that stands before the pinned rules while a test needs it."""

from __future__ import annotations

import struct
import zoneinfo
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def tzif(rules: str, hours: int, name: str) -> bytes:
    """A zone file that says nothing but `rules`, a POSIX TZ string; `hours` and `name` are its time in winter."""
    names = name.encode() + b"\0"

    def block(version: bytes) -> bytes:
        counts = struct.pack(">6l", 0, 0, 0, 0, 1, len(names))
        return b"TZif" + version + bytes(15) + counts + struct.pack(">lbb", hours * 3600, 0, 0) + names

    return block(b"2") * 2 + b"\n" + rules.encode() + b"\n"


@contextmanager
def in_force(folder: Path, zones: Mapping[str, bytes]) -> Iterator[None]:
    """Let these zones follow their files; every other zone, and all of them afterwards, the pinned rules."""
    for key, content in zones.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    zoneinfo.reset_tzpath([folder])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        yield
    finally:
        zoneinfo.reset_tzpath(())
        zoneinfo.ZoneInfo.clear_cache()
