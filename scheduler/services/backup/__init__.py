"""Backups: all tables at one moment in one file, the same from either database, and back into an empty one.

What may leave again after a restore is decided in `fence`. Files are the edge's: it hands in and takes streams.
"""

from __future__ import annotations

from scheduler.services.backup.fence import HELD, hold_back, owe_reviews
from scheduler.services.backup.manifest import Faulty, Manifest, Saved
from scheduler.services.backup.reading import load, manifest_of, verify
from scheduler.services.backup.writing import save

__all__ = [
    "HELD",
    "Faulty",
    "Manifest",
    "Saved",
    "hold_back",
    "load",
    "manifest_of",
    "owe_reviews",
    "save",
    "verify",
]
