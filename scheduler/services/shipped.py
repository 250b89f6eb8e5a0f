"""The drafts that come with the product: visit types, protocols and legal floors, as plain documents.

They are read from the package, never written; an organization's own copies are rows. Nothing is judged here.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml


def visit_types() -> list[dict[str, Any]]:
    """The shipped visit types by code, each a document for `core.visit.parse_visit_type`."""
    return deepcopy(_folder("visit_types"))


def protocols() -> list[dict[str, Any]]:
    """The shipped protocols by code, all drafts, each a document for `core.protocol.parse_protocol`."""
    return deepcopy(_folder("protocols"))


def message_rules() -> list[dict[str, Any]]:
    """The shipped message rules in their order, drafts, each a document for `core.reminders.parse_rules`."""
    return deepcopy(_message_rules())


def floors() -> dict[str, Any]:
    """The document of the legal floors, as `core.visit.parse_visit_type` takes it."""
    return deepcopy(_floors())


@cache
def _floors() -> dict[str, Any]:
    return _load(files("scheduler") / "data" / "floors.yaml")


@cache
def _message_rules() -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = _load(files("scheduler") / "data" / "message_rules.yaml")["rules"]
    return rules


@cache
def _folder(name: str) -> list[dict[str, Any]]:
    found = [item for item in (files("scheduler") / "data" / name).iterdir() if item.name.endswith(".yaml")]
    return [_load(item) for item in sorted(found, key=lambda item: item.name)]


def _load(item: Traversable) -> dict[str, Any]:
    loaded = yaml.safe_load(item.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        msg = f"{item.name} is not a mapping"
        raise TypeError(msg)
    return loaded
