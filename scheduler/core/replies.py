"""What a patient's text message means: stop, start, help, yes, or something that a person must read. No number here.

Degree of tolerance, the same in every language: case, accents, punctuation, emoji, repeated spaces and words of
courtesy do not count, nor what cannot be seen, nor that a word is spelled out (S.T.O.P) or said again and again. What
is left must be exactly one of the words below. Only words that end the messages are also taken with one slip of the
fingers (two neighboring letters swapped, one letter too many, in a long word one too few), and at the beginning of a
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
    "en": (
        "stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out",
        "remove me", "no more texts", "no more messages", "leave me alone", "do not text me",
        "don t text me", "dont text me",
    ),
    "es": (
        "alto", "parar", "pare", "para", "baja", "cancelar", "detener", "salir", "terminar", "revocar", "no mas",
        "no mas mensajes", "no quiero mas mensajes", "no me escriban", "no me escriban mas", "dejen de escribirme",
        "basta", "basta ya", "no me manden mensajes", "no me manden mas mensajes", "no me envien mensajes",
        "no me envien mas mensajes",
        "dar de baja", "deme de baja", "denme de baja", "darme de baja", "quiero darme de baja", "quiero la baja",
    ),
}  # fmt: skip
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
#: Accents and other marks, and what has no shape at all.
_UNSEEN = frozenset({"Mn", "Mc", "Me", "Cf"})
#: Taken with a slip, and at the beginning of a few words: they hardly mean anything else.
_FORGIVEN = frozenset({"stop", "stopall", "unsubscribe", "optout", "revoke", "parar", "alto", "baja"})
_COURTESY = re.compile(r"\b(please|pls|plz|thanks|thank you|thx|por favor|gracias)\b")
_FEW_WORDS = 4
_SHORTEST_FORGIVEN = 4
#: So long a word is still known when one of its letters is missing.
_LONG = 8


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
    seen = (mark for mark in letters if unicodedata.category(mark) not in _UNSEEN)
    said = " ".join(re.sub(r"[^a-z0-9]+", " ", "".join(seen)).split())
    words = _COURTESY.sub(" ", said).split()
    if len(words) > 1 and all(len(word) == 1 for word in words):
        return "".join(words)
    return words[0] if words and len(set(words)) == 1 else " ".join(words)


def _is_slip(word: str, known: str) -> bool:
    """Whether one swap of neighbors, one letter too many, or in a long word one too few makes `word` of `known`."""
    if len(known) < _SHORTEST_FORGIVEN:
        return False
    if len(word) == len(known):
        swapped = (known[:at] + known[at + 1] + known[at] + known[at + 2 :] for at in range(len(known) - 1))
        return word in swapped
    longer, shorter = (word, known) if len(word) > len(known) or len(known) < _LONG else (known, word)
    return len(longer) == len(shorter) + 1 and any(
        longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer))
    )
