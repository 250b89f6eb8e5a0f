"""From facts to a finished text, in the reader's language. What may be said is data: templates and forbidden words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import FileSystemLoader, StrictUndefined, Template, nodes
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from scheduler.messaging.custom import fill
from scheduler.messaging.facts import Facts
from scheduler.messaging.gsm7 import LIMIT, septets, to_gsm7
from scheduler.messaging.numbers import grouped
from scheduler.messaging.phrases import Phrases
from scheduler.messaging.values import PLAIN, Values, quiet

TEMPLATES = Path(__file__).parent / "templates"
LAST_RESORT = "en"

#: An SMS that is too long is said again: with fewer words, under a shorter name, without the phone number, and at
#: last without the zone, for a reader who lives in it. The templates see the step as `brief`.
_SENDER_AT = (30, 30, 20, 11, 11)

#: An SMS that leads to the visit's page leaves out what stands there: the phone number first, then words, at last the
#: ride home. Where not even that fits, it leads nowhere and says the rest by itself.
_SENDER_WITH_LINK = (30, 30, 20, 11)

#: By channel, the kinds whose shipped texts name the visit's page, for there is something to be confirmed, read or
#: changed. Hours before a visit a text gives the room to the phone number.
LINKED: Mapping[str, frozenset[str]] = {
    "email": frozenset(
        {"booked", "series_overview", "remind_72h", "remind_24h", "night_before", "day_of", "eske_nasal", "rescheduled"}
    ),
    "sms": frozenset({"booked", "series_overview", "remind_72h", "remind_24h", "night_before", "rescheduled"}),
}

#: Of these a call tells that the visit does not take place.
CANCELLING = frozenset({"cancelled", "correction"})

#: What is said in a call where it is not about one visit that takes place.
_CALLS = {
    **dict.fromkeys(CANCELLING, "voice_cancelled"),
    "course_changed": "voice_changed",
    "d_instructions": "voice_after",
    **dict.fromkeys(("evening_check", "next_day_scale"), "voice_check"),
    **dict.fromkeys(("integration_prompt", "gap_nudge"), "voice_book"),
    "forms_due": "voice_forms",
}

#: What may be the last that a patient hears before they must stop eating, though a clinic's text need not speak of it;
#: and what is then said of it by us.
_LAST_WORDS = frozenset({"remind_24h", "rescheduled"})
_FASTING = {"sms": "fasting_sms", "body": "fasting"}
_NAMES_FAST = re.compile(r"\{\{\s*(food|liquids)_until\s*\}\}")
_PARAGRAPH = "\n\n"

#: The parts that a text has over each channel.
_NEEDED: Mapping[str, frozenset[str]] = {"sms": frozenset({"sms"}), "email": frozenset({"subject", "body"})}

#: What a form of an SMS leaves open, each by a mark that no text has: it has been made one line of what can be printed.
_OPEN = {"in_words": "\x01", "when_short": "\x02", "when_date": "\x03", "link": "\x04"}

#: By locale, a clinic's own texts for one kind: {"es": {"subject": ..., "body": ..., "sms": ...}}.
Custom = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Spoken:
    """What is said in a call: `words` to the reader in person, `machine` to whatever or whoever else answers.

    A call without a person begins with `opening`, which tells no more than `machine` does, and ends with one of the
    others: how to confirm by a key, that this was done, or that no more calls will come.
    """

    words: str
    machine: str
    locale: str
    opening: str
    confirm: str
    confirmed: str
    stopped: str


class Text(NamedTuple):
    """A finished text. `subject` is empty for an SMS; `sender` is the neutral name to send under."""

    subject: str
    body: str
    locale: str
    sender: str


def locale_chain(preferred: Sequence[str]) -> tuple[str, ...]:
    """The locales to look in: each one preferred, then its language alone, then English. es-MX, es, en."""
    return _chain(tuple(preferred))


@lru_cache(maxsize=1024)
def _chain(preferred: tuple[str, ...]) -> tuple[str, ...]:
    chain: list[str] = []
    for name in (*preferred, LAST_RESORT):
        tag = name.replace("_", "-")
        chain += [tag, tag.partition("-")[0]]
    return tuple(dict.fromkeys(filter(None, chain)))


def neutral(name: str, locales: Sequence[str]) -> str:
    """The name on one line; when it would give the patient away, "Appointment" in their language, or nothing."""
    said = quiet(name)
    if said or not locales:
        return said
    return words_of(next(tag for tag in locale_chain(locales) if tag in shipped_locales()))["visit"]


@cache
def shipped_locales() -> frozenset[str]:
    """The languages that come with a full set of templates."""
    return frozenset(entry.name for entry in TEMPLATES.iterdir() if entry.is_dir())


def render(
    kind: str,
    channel: str,
    facts: Facts,
    locales: Sequence[str],
    custom: Custom | None = None,
    *,
    one_sms: bool = False,
) -> Text:
    """The text of a message of that kind for that channel (`email`, `sms`, or `voice`: how the call begins).

    `locales` are the recipient's and the organization's, in this order; `custom` holds the organization's own texts.
    With `one_sms` (texts that rest on the exemption) an own text that takes more than one SMS gives way to the shipped
    one, which does not, and a link to the clinic's phone number, which the law demands.
    """
    if channel == "voice":
        call = speak(kind, facts, locales)
        return Text("", call.opening, call.locale, quiet(facts.sender_name))
    needed = _NEEDED["sms" if channel == "sms" else "email"]
    for tongue in _tongues(tuple(locales)):
        own = custom.get(tongue.tag) if custom else None
        own = own if own and needed <= own.keys() else None
        if own is None and not tongue.is_shipped:
            continue
        said = _Saying(kind, facts, tongue.manner, tongue.language, own)
        text = said.sms(phone_first=one_sms) if channel == "sms" else said.email()
        if own and one_sms and channel == "sms" and septets(text.body) > LIMIT:
            if not tongue.is_shipped:
                continue
            text = _Saying(kind, facts, tongue.manner, tongue.language, None).sms(phone_first=True)
        return text
    raise AssertionError  # pragma: no cover - English is always there


def speak(kind: str, facts: Facts, locales: Sequence[str]) -> Spoken:
    """The words for a call about a visit: what must be known of it, and nothing to whoever else picks up."""
    language = next(tag for tag in locale_chain(locales) if tag in shipped_locales())
    return _Saying(kind, facts, _manner(language, tuple(locales)), language, None).call()


class _Tongue(NamedTuple):
    """One locale to look for texts in: its language, and the manner in which dates and times are written."""

    tag: str
    language: str
    manner: str
    is_shipped: bool


# Made once: message after message is written for the same few.
@lru_cache(maxsize=1024)
def _tongues(locales: tuple[str, ...]) -> tuple[_Tongue, ...]:
    chain = ((tag, tag.partition("-")[0]) for tag in locale_chain(locales))
    return tuple(_Tongue(tag, language, _manner(tag, locales), tag in shipped_locales()) for tag, language in chain)


@lru_cache(maxsize=1024)
def _manner(tag: str, locales: tuple[str, ...]) -> str:
    """A text found in "es" is still written the Mexican way for es-MX."""
    return next((name for name in locales if name.replace("_", "-").startswith(f"{tag}-")), tag)


class _Saying:
    """One message in one language."""

    def __init__(self, kind: str, facts: Facts, manner: str, language: str, own: Mapping[str, str] | None) -> None:
        self._kind, self._language, self._locale, self._own = kind, language, manner, own
        self._words = _words(language)
        self._facts = facts

    def email(self) -> Text:
        values = self._spacious()
        subject = " ".join(self._part("subject", values).split())
        return Text(subject, _tidy(self._part("body", values)), self._locale, values["sender"])

    def sms(self, *, phone_first: bool) -> Text:
        """In 160 characters: said with fewer words until it fits."""
        values = self._values()
        sender = _in_gsm7(values["sender"])
        shown = _cut(sender, _SENDER_AT[0])
        text = self._by_form(values, shown)
        if text and septets(text) <= LIMIT:
            return Text("", text, self._locale, shown)
        for changes in self._steps(values, sender, phone_first=phone_first):
            values.update(changes)
            text = to_gsm7(self._part("sms", values))
            if septets(text) <= LIMIT:
                break
        return Text("", text, self._locale, shown)

    def _by_form(self, values: Values, sender: str) -> str:
        """The shipped SMS with all its words, where only times and link tell it from others; else nothing."""
        if self._own is not None or not values.is_plain:
            return ""
        name, leads = f"{self._language}/{self._kind}/sms.txt", bool(self._kind in LINKED["sms"] and values["link"])
        text = _form(name, sender, values["phone"], values["opt_out"], ride=values["ride"], leads=leads)
        for open_, mark in _OPEN.items():
            if mark in text:
                text = text.replace(mark, values[open_])
        return to_gsm7(text)

    def call(self) -> Spoken:
        values = self._spacious()
        said = self._shipped(f"{self._language}/{_CALLS.get(self._kind, 'voice')}.txt", values)

        def word(name: str) -> str:
            has_other = not values["phone"] and f"{name}_no_phone" in self._words
            return self._words[f"{name}_no_phone" if has_other else name].format_map(values)

        parts = map(word, ("machine", "opening", "call_confirm", "call_confirmed", "call_stopped"))
        machine, opening, confirm, confirmed, stopped = parts
        return Spoken(" ".join(said.split()), machine, self._locale, opening, confirm, confirmed, stopped)

    def _values(self) -> Values:
        return Values(self._facts, _phrases(self._locale, self._language), self._words)

    def _spacious(self) -> Values:
        """Where there is room for it, days by their whole names and the phone number as people read it."""
        values = Values(self._facts, _phrases(self._locale, self._language, whole=True), self._words)
        values["phone"] = grouped(values["phone"])
        return values

    def _steps(self, values: Values, sender: str, *, phone_first: bool) -> Iterator[dict[str, Any]]:
        """What is said with ever fewer words: first with the link, where the text has one, then without."""
        phone, link = values["phone"], values["link"]
        if self._own is None and link and self._kind in LINKED["sms"]:
            for brief, length in enumerate(_SENDER_WITH_LINK[: 1 if phone_first else None]):
                yield {"brief": brief, "sender": _cut(sender, length), "phone": "" if brief else phone}
        kept = "" if self._own is None else link
        for brief, length in enumerate(_SENDER_AT):
            changes = {"brief": brief, "sender": _cut(sender, length), "phone": phone, "link": kept}
            if brief == len(_SENDER_AT) - 1:
                changes["when_short"] = values["when_brief"]
            yield changes

    def _part(self, name: str, values: Values) -> str:
        if self._own is not None:
            said = fill(self._own[name], values)
            # Whatever a clinic writes, its last word before a fast names it, and says what to do once its time has
            # passed; and every SMS says how to end them.
            if name in _FASTING and self._leaves_out_fast(self._own[name], values):
                fasting = self._shipped(f"{_shipped_or_last(self._language)}/{_FASTING[name]}.txt", values).strip()
                said = f"{said.strip()}{' ' if name == 'sms' else _PARAGRAPH}{fasting}".strip()
            missing = name == "sms" and values["opt_out"] and "STOP" not in said
            return f"{said.strip()} {values['opt_out']}" if missing else said
        return self._shipped(f"{self._language}/{self._kind}/{name}.txt", values)

    def _leaves_out_fast(self, own: str, values: Values) -> bool:
        return bool(values["fast_over"]) if _NAMES_FAST.search(own) else self._kind in _LAST_WORDS

    def _shipped(self, name: str, values: Values) -> str:
        return "".join(_shipped(name)(_Named(values)))


@lru_cache(maxsize=256)
def _phrases(locale: str, language: str, *, whole: bool = False) -> Phrases:
    """Made once: message after message is said in the same few."""
    return Phrases(locale, _words(language), whole=whole)


def _shipped_or_last(language: str) -> str:
    return language if language in shipped_locales() else LAST_RESORT


@cache
def _words(language: str) -> Mapping[str, str]:
    return words_of(_shipped_or_last(language))


# Message after message is sent under the same few names.
_in_gsm7 = lru_cache(maxsize=256)(to_gsm7)


def _cut(name: str, length: int) -> str:
    """The name in at most that many characters, at the end of a word where there is one."""
    if len(name) <= length:
        return name
    return (name[: length + 1].rpartition(" ")[0] or name[:length]).rstrip(" -,&")


def _tidy(text: str) -> str:
    """No trailing blanks, never two empty lines in a row: what does not apply leaves no hole."""
    kept: list[str] = []
    for line in map(str.rstrip, text.strip().splitlines()):
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept) + "\n"


class _Named:
    """All that a shipped template asks of Jinja's context: a value by its name. Of what is not there, KeyError."""

    __slots__ = ("resolve_or_missing",)

    def __init__(self, values: dict[str, Any]) -> None:
        self.resolve_or_missing = values.__getitem__


class _Whole(NodeTransformer):
    """Puts what a template includes into its place, once: to look for it each time costs half of a text."""

    def __init__(self, environment: SandboxedEnvironment) -> None:
        self._environment, self._loader = environment, FileSystemLoader(TEMPLATES)

    def of(self, name: str) -> nodes.Template:
        """The template of that name, with all that it includes. Raises TemplateNotFound."""
        source, *_ = self._loader.get_source(self._environment, name)
        whole: nodes.Template = self.visit(self._environment.parse(source, name))
        return whole

    def visit_Include(self, node: nodes.Include) -> list[nodes.Node]:  # noqa: N802 - Jinja's name
        """What stands in the template that is named."""
        return self.of(node.template.as_const()).body


@cache
def _shipped(name: str) -> Callable[[_Named], Iterable[str]]:
    """What makes of values the pieces of a shipped text."""
    environment = _environment()
    code = environment.compile(_Whole(environment).of(name), name)
    made: Callable[[Any], Iterable[str]] = Template.from_code(environment, code, {}).root_render_func
    return made


# To fill in a form costs a third of saying a text anew, and a clinic says the same of visit after visit.
@lru_cache(maxsize=1024)
def _form(name: str, sender: str, phone: str, opt_out: str, *, ride: bool, leads: bool) -> str:
    """What a shipped SMS says with all its words of a plain visit, on one line, its times and link left open.

    Nothing where it names what is not given here: that may be another with each message.
    """
    given = PLAIN | _OPEN | {"sender": sender, "phone": phone, "opt_out": opt_out, "ride": ride}
    try:
        said = "".join(_shipped(name)(_Named(given if leads else given | {"link": ""})))
    except KeyError:
        return ""
    return " ".join(said.split())


@cache
def _environment() -> SandboxedEnvironment:
    return SandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # plain text, no page
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def words_of(language: str) -> Mapping[str, str]:
    """What stands between the templates' words in a language that is shipped."""
    words: dict[str, str] = yaml.safe_load((TEMPLATES / language / "words.yaml").read_text(encoding="utf-8"))
    return words
