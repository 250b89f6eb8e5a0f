"""Every setting: its name, type, default and meaning. Alone reads the environment; knows nothing of what uses it.

`docs/configuration.md` lists the same settings for people; a test keeps the two in step.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from dataclasses import Field

PREFIX = "SCHEDULER_"
T = TypeVar("T")
_SHORTEST_KEY = 32


class FaultySettings(ValueError):
    """The environment does not make sense. `faults` maps each faulty variable to one sentence; all are listed."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        lines = "\n".join(f"  {name}: {why}" for name, why in sorted(self.faults.items()))
        super().__init__(f"faulty settings in the environment:\n{lines}")


def _text(raw: str) -> str:
    return raw


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw not in choices:
            msg = f"must be one of {', '.join(choices)}"
            raise ValueError(msg)
        return raw

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        # int() alone would also take "1_000", " 7 " and other scripts' digits.
        plain = re.fullmatch("[0-9]{1,9}", raw)
        if plain is None or not low <= int(raw) <= high:
            msg = f"must be a whole number from {low} to {high}"
            raise ValueError(msg)
        return int(raw)

    return parse


def _rate(raw: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", raw, flags=re.ASCII):
        msg = "must be a number such as 1 or 0.5"
        raise ValueError(msg)
    return float(raw)


def _flag(raw: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if raw.lower() not in known:
        msg = "must be true or false"
        raise ValueError(msg)
    return known[raw.lower()]


def _database(raw: str) -> str:
    scheme, separator, rest = raw.partition("://")
    if not separator or scheme not in {"sqlite", "postgres", "postgresql", "postgresql+psycopg"}:
        msg = "must begin with sqlite:// or postgresql://"
        raise ValueError(msg)
    # Hosting platforms still hand out the short form, which SQLAlchemy no longer knows.
    return f"postgresql://{rest}" if scheme == "postgres" else raw


def _rooted(database_url: str) -> str:
    scheme, three_slashes, rest = database_url.partition(":///")
    path, question, options = rest.partition("?")
    if not scheme.startswith("sqlite") or not path or path == ":memory:" or path.startswith("file:"):
        return database_url
    return f"{scheme}{three_slashes}{Path(path).absolute().as_posix()}{question}{options}"


def _web_address(raw: str) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = "must be an http:// or https:// address"
        raise ValueError(msg)
    return raw


def _key(raw: str) -> str:
    if len(raw) < _SHORTEST_KEY:
        msg = f"must have at least {_SHORTEST_KEY} characters"
        raise ValueError(msg)
    return raw


def _origins(raw: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in raw.split(","))
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}" or not parts.hostname:
            msg = "must be origins such as https://desk.example.org, separated by commas, without a path and without *"
            raise ValueError(msg)
    return origins


def _schemes(raw: str) -> tuple[str, ...]:
    schemes = tuple(part.strip().lower() for part in raw.split(","))
    if not all(re.fullmatch(r"[a-z][a-z0-9+.-]{0,29}", scheme) for scheme in schemes):
        msg = "must be services as Apprise names them, such as slack,mailtos, separated by commas"
        raise ValueError(msg)
    return schemes


def _setting(default: T, parse: Callable[[str], T], meaning: str, *, secret: bool = False) -> T:
    """Declare one field; `secret` keeps its value out of the repr, and so out of logs and tracebacks."""
    declared: T = field(default=default, repr=not secret, metadata={"parse": parse, "meaning": meaning})
    return declared


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that an installation may set. Built once, by the edge that starts the process, and handed in."""

    database_url: str = _setting(
        "sqlite:///var/regimen.db",
        _database,
        "Where the data lives; a relative SQLite path starts at the working directory",
        secret=True,
    )
    database_pool_size: int = _setting(8, _whole(1, 1000), "Connections that one process keeps open to PostgreSQL")
    database_connect_seconds: int = _setting(
        10, _whole(2, 120), "How long a process waits for PostgreSQL to take a new connection"
    )
    log_level: str = _setting(
        "INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "The least severity that is logged"
    )
    worker_tick_seconds: int = _setting(5, _whole(1, 3600), "How often the worker looks for due messages")
    worker_lease_seconds: int = _setting(
        60, _whole(5, 3600), "How long a claimed message stays with a worker that went silent"
    )
    worker_at_once: int = _setting(
        16, _whole(1, 100), "Messages that a worker has on their way at once, by channels that drop repeats"
    )
    worker_at_once_unsafe: int = _setting(
        1, _whole(1, 100), "The same by channels that do not; as many may arrive twice when it dies"
    )
    worker_batch: int = _setting(200, _whole(1, 10_000), "Messages that a worker claims at once")
    email_channel: str = _setting(
        "file", _one_of("console", "file", "smtp"), "How e-mail leaves: printed, written to the outbox, or by SMTP"
    )
    sms_channel: str = _setting(
        "console",
        _one_of("console", "file", "http", "twilio"),
        "How SMS leaves: printed, to the outbox, by HTTP, or by Twilio",
    )
    voice_channel: str = _setting(
        "console",
        _one_of("console", "file", "twilio-voice", "voice-http"),
        "How calls are made: printed, written, by Twilio, or by HTTP",
    )
    email_per_second: float = _setting(0.0, _rate, "E-mails that leave in a second, by all workers; 0 means no limit")
    sms_per_second: float = _setting(0.0, _rate, "SMS that leave in a second, by all workers; 0 means no limit")
    voice_per_second: float = _setting(0.0, _rate, "Calls that begin in a second, by all workers; 0 means no limit")
    outbox_dir: str = _setting("var/outbox", _text, "Where the channel `file` writes messages")
    smtp_host: str = _setting("", _text, "The SMTP server; needed when the e-mail channel is `smtp`")
    smtp_port: int = _setting(587, _whole(1, 65_535), "The SMTP server's port")
    smtp_user: str = _setting("", _text, "The SMTP user; empty means no login")
    smtp_password: str = _setting("", _text, "The SMTP password", secret=True)
    smtp_starttls: bool = _setting(
        default=True, parse=_flag, meaning="Whether SMTP must turn to TLS before anything else"
    )
    smtp_from: str = _setting("", _text, "The sender's address; needed when the e-mail channel is `smtp`")
    staff_notices: tuple[str, ...] = _setting(
        (), _schemes, "Services (slack, mailtos, ...) by which staff may be told of due tasks; needs the extra `staff`"
    )
    sms_http_url: str = _setting("", _web_address, "Where SMS are posted; needed when the SMS channel is `http`")
    sms_http_token: str = _setting("", _text, "The bearer token that goes with posted SMS", secret=True)
    sms_http_drops_repeats: bool = _setting(
        default=False,
        parse=_flag,
        meaning="Whether the SMS gateway takes what it gets twice under one Idempotency-Key once",
    )
    sms_http_secret: str = _setting(
        "", _text, "What gateways of one's own sign texts, keys and outcomes with", secret=True
    )
    voice_http_url: str = _setting("", _web_address, "Where calls are posted; needed when they go by HTTP")
    voice_http_token: str = _setting("", _text, "The bearer token that goes with posted calls", secret=True)
    voice_http_drops_repeats: bool = _setting(
        default=False,
        parse=_flag,
        meaning="Whether the voice gateway takes what it gets twice under one Idempotency-Key once",
    )
    twilio_account: str = _setting("", _text, "The Twilio account; needed when the SMS channel is `twilio`")
    twilio_token: str = _setting("", _text, "Its token, which also signs what Twilio posts", secret=True)
    twilio_from: str = _setting("", _text, "The number, or messaging service (MG...), that texts leave from")
    twilio_voice_from: str = _setting("", _text, "The number that calls come from; needed when calls go by Twilio")
    public_url: str = _setting(
        "", _web_address, "Where patients and providers reach this installation; empty, messages carry no links"
    )
    link_key: str = _setting(
        "",
        _key,
        "What links in messages are made with, alike for every worker; empty, each process makes up its own",
        secret=True,
    )
    webhooks_private: bool = _setting(
        default=False,
        parse=_flag,
        meaning="Whether webhooks may be told over plain http and inside a private network; else only on the internet",
    )
    cors_origins: tuple[str, ...] = _setting(
        (), _origins, "Web origins whose pages may call the API, separated by commas; none by default"
    )
    max_body_bytes: int = _setting(65_536, _whole(1024, 16_777_216), "The largest request body that is read")
    idempotency_days: int = _setting(7, _whole(1, 365), "How long an answer is kept for replay by its Idempotency-Key")
    plan_minutes: int = _setting(30, _whole(1, 1440), "How long a proposed plan may be booked")
    trusted_proxies: int = _setting(
        0, _whole(0, 10), "Reverse proxies in front, whose X-Forwarded headers are believed"
    )
    rate_limit_per_minute: int = _setting(0, _whole(0, 1_000_000), "Requests per API key and minute; 0 means no limit")
    page_limit_per_minute: int = _setting(
        60,
        _whole(0, 1_000_000),
        "Requests per link to a patient's page, or calendar feed, and minute; 0 means no limit",
    )
    page_address_limit_per_minute: int = _setting(
        600, _whole(0, 1_000_000), "Requests for pages and feeds per caller's address and minute; 0 means no limit"
    )

    def __post_init__(self) -> None:
        """Fix a relative SQLite path now: the libraries below would each start it at a folder of their own."""
        object.__setattr__(self, "database_url", _rooted(self.database_url))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from `environ` (default: the process's own).

        A variable that is absent or empty leaves the default. Raises `FaultySettings`, naming every faulty variable.
        """
        source = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        faults = _misspelled(source)
        for setting in fields(cls):
            raw = source.get(variable(setting), "")
            if raw:
                try:
                    values[setting.name] = setting.metadata["parse"](raw)
                except ValueError as error:
                    faults[variable(setting)] = str(error)
        found = cls(**values)
        faults |= {name: why for name, why in _missing(found).items() if name not in faults}
        if faults:
            raise FaultySettings(faults)
        return found


def variable(setting: Field[Any]) -> str:
    """Name the environment variable of one field."""
    return f"{PREFIX}{setting.name.upper()}"


def _misspelled(source: Mapping[str, str]) -> dict[str, str]:
    """Find near misses. Others are let be: a cluster adds SCHEDULER_SERVICE_HOST and the like by itself."""
    known = [variable(setting) for setting in fields(Settings)]
    faults = {}
    for name in source:
        if name.startswith(PREFIX) and name not in known:
            stem = {setting.removeprefix(PREFIX): setting for setting in known}
            near = difflib.get_close_matches(name.removeprefix(PREFIX), stem, n=1, cutoff=0.8)
            if near:
                faults[name] = f"is not a setting; {stem[near[0]]} is"
    return faults


def _missing(found: Settings) -> dict[str, str]:
    """Name what the chosen channels need and did not get."""
    calls = found.voice_channel == "twilio-voice"
    needs = {
        "smtp_host": found.email_channel == "smtp",
        "smtp_from": found.email_channel == "smtp",
        "sms_http_url": found.sms_channel == "http",
        "twilio_account": found.sms_channel == "twilio" or calls,
        "twilio_token": found.sms_channel == "twilio" or calls,
        "twilio_from": found.sms_channel == "twilio",
        "twilio_voice_from": calls,
        "public_url": calls,
    }
    return {
        f"{PREFIX}{name.upper()}": "is needed by the chosen channel"
        for name, needed in needs.items()
        if needed and not getattr(found, name)
    }
