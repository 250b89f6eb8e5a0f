"""How a test walks every route under /v1: the routes, their addresses, and bodies that are in form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from marshmallow import fields, validate

from scheduler.api.fields import CommaList, Day, Id, Instant, QueryFlag, QueryWhole, TimeOfDay, ZoneName
from tests.api.examples import BODIES, EXAMPLES, QUERIES, WORDS

if TYPE_CHECKING:
    from flask import Flask
    from marshmallow import Schema

    from tests.api.conftest import Person


@dataclass(frozen=True)
class Route:
    """One method of one rule."""

    method: str
    rule: str
    ids: tuple[str, ...]
    words: tuple[str, ...]
    view: Any

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule}"

    @property
    def manner(self) -> Any:
        return self.view.manner

    @property
    def made_words(self) -> tuple[str, ...]:
        """The words that are made like ids; they come after the ids."""
        return tuple(word for word in self.words if self.maker(word))

    def maker(self, parameter: str) -> Any:
        """What makes an example for a parameter, or None."""
        return EXAMPLES.get(f"{self.rule} {parameter}") or EXAMPLES.get(parameter)

    def path(self, ids: dict[str, str]) -> str:
        """The address with these ids."""
        path = self.rule
        for parameter in self.ids:
            path = path.replace(f"<uuid:{parameter}>", ids[parameter])
        for word in self.words:
            path = re.sub(rf"<(string:)?{word}>", ids.get(word) or WORDS.get(word, "word"), path)
        return path

    def body(self, ids: dict[str, str] | None = None) -> dict[str, Any] | None:
        """A body in form, its ids replaced by those of `ids` where it has such fields."""
        if self.method not in {"POST", "PUT", "PATCH"}:
            return None
        made = dict(BODIES.get(self.name) or (filled(self.manner.takes()) if self.manner.takes else {}))
        return made | {name: value for name, value in (ids or {}).items() if name in self.body_ids()}

    def query(self, ids: dict[str, str] | None = None) -> dict[str, Any]:
        """A query in form, its ids replaced likewise."""
        made = dict(QUERIES.get(self.name) or (filled(self.manner.query()) if self.manner.query else {}))
        return made | {name: value for name, value in (ids or {}).items() if name in self.query_ids()}

    def body_ids(self) -> list[str]:
        """The ids that the body may name and for which there are examples."""
        return self._ids_in(self.manner.takes)

    def query_ids(self) -> list[str]:
        """The same of the query."""
        return self._ids_in(self.manner.query)

    def _ids_in(self, schema: type[Schema] | None) -> list[str]:
        known = schema().load_fields if schema is not None else {}
        return [name for name, field in known.items() if isinstance(field, Id) and self.maker(name)]

    def required_ids(self) -> list[str]:
        """The ids without which the query is not in form."""
        return [name for name in self.query_ids() if self.manner.query().load_fields[name].required]

    def ask(self, person: Person, ids: dict[str, str], *, dry_run: bool = False, **options: Any) -> Any:
        """Ask as that person, in form in every way."""
        headers = {"X-Request-Id": "walk"} | options.pop("headers", {})
        if self.manner.if_match:
            headers = {"If-Match": '"1"'} | headers
        query = options.pop("query", None) or self.query()
        if dry_run and self.method != "GET":
            query = query | {"dry_run": "true"}
        body = options.pop("json", None) or self.body()
        return person.call(self.method, self.path(ids), json=body, query_string=query, headers=headers, **options)


class Known:
    """Everybody's examples; what was made once serves again."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], str] = {}

    def of(self, person: Person, route: Route, *names: str) -> dict[str, str]:
        """The person's own ids for parameters of a route."""
        found = {}
        for name in names:
            place = f"{route.rule} {name}" if f"{route.rule} {name}" in EXAMPLES else name
            if (place, person.token) not in self._ids:
                self._ids[place, person.token] = route.maker(name)(person)
            found[name] = self._ids[place, person.token]
        return found

    def all(self) -> set[str]:
        """Every id that was made."""
        return set(self._ids.values())


def routes(app: Flask) -> Iterator[Route]:
    """Every route under /v1 that takes a key."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        if not rule.rule.startswith("/v1") or hasattr(view, "unkeyed"):
            continue
        kinds = {name: type(converter).__name__ for name, converter in rule._converters.items()}
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(
                method,
                rule.rule,
                tuple(name for name, kind in kinds.items() if kind == "UUIDConverter"),
                tuple(name for name, kind in kinds.items() if kind != "UUIDConverter"),
                view,
            )


def unknown(route: Route) -> dict[str, str]:
    """Ids that never were."""
    return {name: str(uuid4()) for name in route.ids}


def filled(schema: Schema) -> dict[str, Any]:
    """The least that a schema takes: a value in form for each required field."""
    return {field.data_key or name: value(field) for name, field in schema.load_fields.items() if field.required}


def value(field: fields.Field[Any]) -> Any:
    """One value that this field takes."""
    for kind, made in (
        (Id, str(UUID(int=1))),
        (Instant, "2030-03-05T15:00:00+00:00"),
        (Day, "2030-03-05"),
        (TimeOfDay, "09:00"),
        (ZoneName, "UTC"),
        (QueryFlag, "true"),
        (fields.Boolean, True),
        (fields.Dict, {}),
    ):
        if isinstance(field, kind):
            return made
    if isinstance(field, fields.Nested):
        return filled(field.schema)
    if isinstance(field, fields.List):
        limits = [one for one in field.validators if isinstance(one, validate.Length)]
        wanted = [value(field.inner)] * max([one.min or 0 for one in limits], default=0)
        return ",".join(wanted) if isinstance(field, CommaList) else wanted
    for validator in field.validators:
        if isinstance(validator, validate.OneOf):
            return next(iter(validator.choices))
        if isinstance(validator, validate.Range):
            least = validator.min if isinstance(validator.min, int) and validator.min > 0 else 1
            return str(least) if isinstance(field, QueryWhole) else least
    return "x"
