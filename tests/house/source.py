"""Where the project's files are. The rules in this folder are checks over what is found here."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "scheduler"
#: Only for a copy without git: folders that are made, not written.
MADE = {".git", ".venv", "var", "htmlcov", "__pycache__"}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git keeps and that is still there; in a copy without git, every file that was not made."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
            cwd=ROOT, capture_output=True, check=True, text=True,
        )  # fmt: skip
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if MADE.isdisjoint(path.relative_to(ROOT).parts)]
    found = tuple(sorted(path for path in paths if path.is_file()))
    assert len(found) > 20, f"that can't be the whole project: {found}"
    return found


def modules(*folders: str) -> tuple[Path, ...]:
    """Every Python file under these folders, tracked or about to be."""
    return tuple(sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")))


@cache
def parsed(source: str) -> ast.Module:
    """Python text as a tree; several rules look at the same one."""
    return ast.parse(source)


def reported(paths: Iterable[Path], rule: Callable[[Path], Iterable[str]]) -> dict[str, list[str]]:
    """What a rule finds in these files, by file. One test looks at all: a test for each costs more than it tells."""
    everything = {name(path): list(rule(path)) for path in paths}
    assert everything, "no file to look at"
    return {file: reports for file, reports in everything.items() if reports}


def name(path: Path) -> str:
    """How a message names a file."""
    return path.relative_to(ROOT).as_posix()
