"""What a patient's text message means: stop, start, help, yes, or something that a person must read. No number here.

Degree of tolerance, the same in every language: case, accents, punctuation, emoji, repeated spaces and words of
courtesy do not count. What is left must be exactly one of the words below. Only words that end the messages are also
taken with one slip of the fingers (two neighboring letters swapped, or one letter too many), and at the beginning of a
message of up to four words; a yes is never guessed, since a visit wrongly confirmed is worse than a call.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Intent = Literal["stop", "start", "help", "yes", "other"]

#: In every language at once: a number may be shared by people who write differently.
_STOP: dict[str, tuple[str, ...]] = {
    "en": ("stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out"),
    "es": ("alto", "parar", "pare", "baja", "cancelar", "detener", "salir", "terminar", "revocar", "no mas"),
}
_START: dict[str, tuple[str, ...]] = {"en": ("start", "unstop"), "es": ("iniciar", "reanudar", "alta")}
_HELP: dict[str, tuple[str, ...]] = {"en": ("help", "info"), "es": ("ayuda",)}
_YES: dict[str, tuple[str, ...]] = {
    "en": ("yes", "y", "c", "confirm", "confirmed"),
    "es": ("si", "confirmo", "confirmar", "confirmado"),
}
_BY_INTENT: tuple[tuple[Intent, dict[str, tuple[str, ...]]], ...] = (
    ("stop", _STOP),
    ("start", _START),
    ("help", _HELP),
    ("yes", _YES),
)

#: Ends the messages, but is often meant for the visit: a person must ask.
_ABOUT_THE_VISIT = frozenset({"cancel", "cancelar"})
#: Taken with a slip, and at the beginning of a few words: they hardly mean anything else.
_FORGIVEN = frozenset({"stop", "stopall", "unsubscribe", "optout", "revoke", "parar", "alto", "baja"})
_COURTESY = re.compile(r"\b(please|pls|plz|thanks|thank you|thx|por favor|gracias)\b")
_FEW_WORDS = 4
_SHORTEST_FORGIVEN = 4


@dataclass(frozen=True)
class Reply:
    """What a text means. `language` is that of its keyword; `ask` says that a person must look at it too."""

    intent: Intent
    language: str | None = None
    ask: bool = False


def meaning(text: str) -> Reply:
    """What the text means, to the degree that this module's docstring states."""
    said = _plain(text)
    for intent, words in _BY_INTENT:
        for language, known in words.items():
            if said in known:
                return Reply(intent, language, ask=said in _ABOUT_THE_VISIT)
    first, _, rest = said.partition(" ")
    if len(rest.split()) < _FEW_WORDS:
        for language, known in _STOP.items():
            if any(word in _FORGIVEN and (first == word or _is_slip(first, word)) for word in known):
                # Words around it may say something else besides.
                return Reply("stop", language, ask=bool(rest))
    return Reply("other", ask=True)


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(mark for mark in letters if not unicodedata.combining(mark))
    words = " ".join(re.sub(r"[^a-z0-9]+", " ", bare).split())
    return " ".join(_COURTESY.sub(" ", words).split())


def _is_slip(word: str, known: str) -> bool:
    """Whether one swap of neighbors, or one letter too many, makes `word` of `known`."""
    if len(known) < _SHORTEST_FORGIVEN:
        return False
    if len(word) == len(known):
        swapped = (known[:at] + known[at + 1] + known[at] + known[at + 2 :] for at in range(len(known) - 1))
        return word in swapped
    return len(word) == len(known) + 1 and any(word[:at] + word[at + 1 :] == known for at in range(len(word)))
