"""Closes the way out: a test may speak to this machine only."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


class OutsideWorld(RuntimeError):
    """A test tried to reach beyond this machine."""


def is_near(host: object) -> bool:
    """Tell whether a host (name or address) is this machine."""
    if not host:
        return True  # nothing, that is: any address of our own
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return name == "localhost"


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    def reach(self: socket.socket, *args: Any) -> Any:
        address = args[-1]
        if self.family in {socket.AF_INET, socket.AF_INET6} and not is_near(address[0]):
            raise OutsideWorld(f"the test reached for {address[0]}")
        return original(self, *args)

    return reach


@contextmanager
def closed() -> Iterator[None]:
    """Refuse connections, datagrams and name look-ups that leave the machine, for as long as this lasts."""
    look_up = socket.getaddrinfo

    def near_look_up(host: Any, *args: Any, **options: Any) -> Any:
        if not is_near(host):
            raise OutsideWorld(f"the test looked up {host!r}")
        return look_up(host, *args, **options)

    with (
        patch.object(socket.socket, "connect", _guarded(socket.socket.connect)),
        patch.object(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex)),
        patch.object(socket.socket, "sendto", _guarded(socket.socket.sendto)),
        patch.object(socket, "getaddrinfo", near_look_up),
    ):
        yield
