"""How figures are shown: percentiles, ratios, tables, and the machine that they were taken on. Measures nothing."""

from __future__ import annotations

import os
import platform
import sysconfig
from collections.abc import Sequence
from statistics import median

_NARROWEST = 8


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least that share of them do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000 * len(ordered)) // 1000) - 1))]


def spread(samples: Sequence[float], digits: int = 1) -> str:
    """`p50 / p95 / p99`."""
    return " / ".join(f"{percentile(samples, share):.{digits}f}" for share in (0.5, 0.95, 0.99))


def extent(samples: Sequence[float], digits: int = 2) -> str:
    """`median (least to most)`."""
    return f"{median(samples):.{digits}f} ({min(samples):.{digits}f} to {max(samples):.{digits}f})"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown, as the documentation keeps it."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    print("\n".join([lines[0], rule, *lines[1:]]))


class Sheet:
    """A table in Markdown that is printed row by row: a long run may be broken off."""

    def __init__(self, header: Sequence[str]) -> None:
        self._widths = [max(len(name), _NARROWEST) for name in header]
        self.add(header)
        print("|" + "|".join("-" * (width + 2) for width in self._widths) + "|", flush=True)

    def add(self, row: Sequence[object]) -> None:
        """Print one more row."""
        cells = (str(cell).ljust(width) for cell, width in zip(row, self._widths, strict=True))
        print(f"| {' | '.join(cells)} |", flush=True)


def machine() -> str:
    """Cores, load average and interpreter: what the figures depend on, and how quiet it was."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"[{os.cpu_count()} cores, load average {load}, Python {platform.python_version()}, {_build()}]"


def _build() -> str:
    """How the interpreter was built, as far as it tells: by a third of all figures, more than most changes make."""
    asked = sysconfig.get_config_var("CONFIG_ARGS") or ""
    kinds = {"--enable-optimizations": "profile-guided", "--with-lto": "link-time"}
    told = [kind for flag, kind in kinds.items() if flag in asked]
    if told:
        return f"{' and '.join(told)} optimization"
    if "deb_system" in sysconfig.get_scheme_names():  # its record leaves the flags out; its rules of building have both
        return "the distribution's optimized build"
    return "not an optimized build"
