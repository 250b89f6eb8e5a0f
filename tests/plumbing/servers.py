"""A real gunicorn, as production runs it, on a loopback port of its own: started, killed and stopped. Asks nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: How long a server may take to answer for the first time, and to leave when asked to.
PATIENCE = 90.0


@dataclass
class Server:
    """A server process and its workers. The listening socket is ours: while nobody serves it, callers wait in line."""

    database_url: str
    folder: Path
    workers: int = 2
    threads: int = 4
    #: What it serves.
    application: str = "wsgi:app"
    #: Further settings, by the name of their variable.
    settings: dict[str, str] = field(default_factory=dict)
    _listener: socket.socket = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._listener.getsockname()
        return host, port

    @property
    def is_up(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has written so far, over all its lives."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        number = self._listener.fileno()
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "gunicorn", self.application, "--bind", f"fd://{number}", "--workers",
                    str(self.workers), "--threads", str(self.threads),
                    "--graceful-timeout", "5", "--log-level", "warning", "--no-control-socket",
                ],
                cwd=ROOT,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[number],
                start_new_session=True,
            )  # fmt: skip
        self._await()

    def worker_pids(self) -> list[int]:
        """The processes that answer requests at this moment."""
        assert self._process is not None
        with suppress(FileNotFoundError):
            listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
            return [int(pid) for pid in listed.split()]
        return []

    def kill_worker(self) -> bool:
        """SIGKILL to one worker, the oldest; gunicorn starts another. False when there was none to kill."""
        for pid in sorted(self.worker_pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def kill(self) -> None:
        """SIGKILL to the master and to every worker at once, as when the machine goes."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Ask it to leave, and see that nobody stays; the line of callers is closed."""
        self._listener.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
        ours = {
            "SCHEDULER_DATABASE_URL": self.database_url,
            "SCHEDULER_OUTBOX_DIR": str(self.folder / "outbox"),
            "SCHEDULER_LOG_LEVEL": "WARNING",
        }
        return kept | ours | self.settings

    def _await(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            connection = HTTPConnection(*self.address, timeout=PATIENCE)
            try:
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    return
            except (OSError, HTTPException):
                time.sleep(0.05)
            finally:
                connection.close()
        raise RuntimeError(f"the server did not come up:\n{self.log}")


@contextmanager
def serving(database_url: str, folder: Path, **options: int | str | dict[str, str]) -> Iterator[Server]:
    """A server for as long as this lasts. `options` are fields of `Server`."""
    server = Server(database_url, folder, **options)  # type: ignore[arg-type]
    try:
        server.start()
        yield server
    finally:
        server.stop()
