"""The one way in: `endpoint` turns a view `(session, call, ...)` into a route that acts and documents alike.

It identifies the caller, reads the request strictly, opens the one transaction of a change, keeps its answer for
replay, and writes the answer down once. What the answer says is the view's; what a refusal looks like is errors.py's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial, wraps
from typing import Any, TypeVar, cast

import flask_smorest
import marshmallow as ma
from flask import Request, Response, current_app, g
from flask.globals import request_ctx
from werkzeug.exceptions import NotFound, RequestEntityTooLarge, UnsupportedMediaType

from scheduler.api import cursors, limits, replies, strict
from scheduler.api.agreeing import Agree, contradictions, sound
from scheduler.api.auth import identify
from scheduler.api.document import IfMatch, Manner, is_repeated, operation
from scheduler.api.fields import QueryWhole, Text
from scheduler.api.headers import based_on, expect_unpacked, idempotency_key
from scheduler.api.naming import completed
from scheduler.api.schema import Coded, Schema, instance, page_schema, patch_schema, read
from scheduler.api.writing import encoded
from scheduler.core import errors
from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, SchedulingError, refuse
from scheduler.database import db, look, pause, transact
from scheduler.services import Session, access, audit, idempotency
from scheduler.services.idempotency import Kept
from scheduler.services.paging import Page
from scheduler.services.records import Revision

__all__ = [
    "Agree", "Answer", "Blueprint", "Page", "PageQuery", "Schema", "Session", "endpoint", "page_schema", "patch_schema",
    "unkeyed",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])
_CHANGEABLE = (dict, list)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc] # flask-smorest ships no types
    """Routes of one noun. `description` goes to openapi.yaml."""

    def _store_endpoint_docs(self, endpoint: str, obj: Any, parameters: Any, tags: Any, **options: Any) -> None:
        super()._store_endpoint_docs(endpoint, obj, parameters, tags, **options)
        manner = getattr(obj, "manner", None)
        for method in options.get("methods", ("GET",)):
            if manner is not None:
                self._docs[endpoint][method.lower()]["manual_doc"] = operation(manner, method)

    def get(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Route GET."""
        return cast("Callable[[F], F]", super().get(rule, **options))

    def post(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Route POST."""
        return cast("Callable[[F], F]", super().post(rule, **options))

    def put(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Route PUT."""
        return cast("Callable[[F], F]", super().put(rule, **options))

    def patch(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Route PATCH."""
        return cast("Callable[[F], F]", super().patch(rule, **options))

    def delete(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Route DELETE."""
        return cast("Callable[[F], F]", super().delete(rule, **options))


class PageQuery(Schema):
    """The query of every collection. Subclass it for filters."""

    limit = QueryWhole(min=1, max=200, load_default=50, metadata={"description": "At most so many items"})
    cursor = Text(2000, metadata={"description": "`next_cursor` of the page before, with the same filters"})

    @ma.validates_schema(skip_on_field_errors=False)
    def _in_order(self, data: dict[str, Any], **_: Any) -> None:
        first, last = (data.get(name) or data.get(also) for name, also in (("from_", "since"), ("to", "until")))
        if first is not None and last is not None and last < first:
            raise ma.ValidationError({"to": [Coded("The end comes before the beginning.", "bad_span")]})


@dataclass(frozen=True)
class Answer:
    """What a view returns when the value alone will not do."""

    value: Any
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def endpoint(
    *,
    scope: str,
    takes: type[Schema] | None = None,
    query: type[Schema] | None = None,
    gives: type[Schema] | None = None,
    many: bool = False,
    status: int = 200,
    refuses: Sequence[type[SchedulingError]] = (),
    if_match: IfMatch = False,
    secrets: Sequence[str] = (),
    agree: Sequence[Agree] = (),
    reads: str | None = None,
    media: str | None = None,
) -> Callable[[F], F]:
    """Make a view of a function `(session, call, [body], [query], *, <path ids>, [revision])`.

    `body` is there when `takes` is, `query` when `query` is, `revision` (None when `if_match="optional"` and no header
    came) when `if_match` is. The function returns what `gives` dumps, a `Page` of it when `many`, or an
    `Answer`. `secrets` names fields of the answer that are never kept for replay. `agree` are those of the view's own
    checks that can be made although some other field could not be read. `reads` names what a GET shows of a
    patient: the look is then written to the audit trail as `<reads>.read`. With `media` the function returns a text of
    that media type.
    """

    def decorate(view: F) -> F:
        manner = Manner(
            name=view.__name__,
            scope=scope,
            takes=takes,
            query=query,
            gives=gives,
            many=many,
            status=status,
            refuses=tuple(refuses),
            if_match=if_match,
            secrets=tuple(secrets),
            agree=tuple(agree),
            reads=reads,
            media=media,
        )

        @wraps(view)
        def respond(**path: Any) -> Response:
            session = db.session()
            look(session)
            call = g.call = identify(session)
            limits.spend(call)
            access.require(call, manner.scope)
            if not all(str(value).isprintable() for value in path.values()):
                raise NotFound
            return _Request(manner, view, path, request_ctx.request).answer(session, call)

        respond.manner = manner  # type: ignore[attr-defined] # routes are checked for it, and documented by it
        return cast("F", respond)

    return decorate


def unkeyed(reason: str) -> Callable[[F], F]:
    """Mark a view under /v1 that takes no API key, and say what guards it instead."""

    def decorate(view: F) -> F:
        view.unkeyed = reason  # type: ignore[attr-defined] # routes are checked for it
        return view

    return decorate


@dataclass(frozen=True)
class _Request:
    """One request on its way through one endpoint."""

    manner: Manner
    view: Callable[..., Any]
    path: dict[str, Any]
    #: As it came. Flask's own `request` looks for it anew at every word.
    came: Request

    @property
    def _changes(self) -> bool:
        return self.came.method not in {"GET", "HEAD"}

    def answer(self, session: Session, call: Call) -> Response:
        arguments, named = [], dict(self.path)
        given = _query_string(self.came)
        dry_run = g.dry_run = self._changes and _dry_run(given)  # before any refusal: it too says that it was one
        if self.manner.if_match:
            named["revision"] = based_on(required=self.manner.if_match is True)
        faults: list[Fault] = []
        body: Any = {}
        query: dict[str, Any] = {}
        if self.came.method in {"POST", "PUT", "PATCH"}:
            pause(session)
            body = _body(self.came)
            loaded = _collected(faults, partial(read, instance(self.manner.takes or Schema)), body)
            arguments += [loaded] if self.manner.takes is not None else []
        if given or self.manner.query is not None:
            asks = self.manner.query or Schema
            query = _collected(faults, partial(read, instance(asks)), _lists(given, asks))
            query = _collected(faults, partial(cursors.opened, self.manner.name, self.path), query)
            arguments += [query] if self.manner.query is not None else []
        if faults:
            faults += self._contradictions(session, call, body, given)
            raise self._whole(session, call, Invalid(faults), body, given)

        def act(session: Session, call: Call) -> Kept:
            # Each try has its own copy: what a view takes out of the body must be there again the next time.
            return self._act(session, call, [_copied(each) for each in arguments], named, query)

        if not self._changes and self.manner.reads is None:
            return replies.response(self.came, act(session, call))
        key = idempotency_key() if self.came.method == "POST" and not dry_run else None
        work = act if key is None else self._kept(act, key, _fingerprint(self.came, body, named.get("revision")))
        try:
            return replies.response(self.came, transact(session, call, work, dry_run=dry_run))
        except (Invalid, errors.NotFound) as refusal:
            raise self._whole(session, call, refusal, body, given) from refusal

    def _contradictions(self, session: Session, call: Call, body: Any, given: dict[str, list[str]]) -> Iterator[Fault]:
        """Those among the parts that could be read."""
        if not self.manner.agree:
            return iter(())
        asks = self.manner.query or Schema
        parts = sound(instance(self.manner.takes or Schema), body) | sound(instance(asks), _lists(given, asks))
        return contradictions(self.manner.agree, session, call, parts | self.path)

    def _whole(
        self, session: Session, call: Call, refusal: Invalid | errors.NotFound, body: Any, given: dict[str, list[str]]
    ) -> Invalid | errors.NotFound:
        """The refusal with all that the request names and is not there."""
        asks = self.manner.query or Schema
        for schema, data in ((self.manner.takes or Schema, body), (asks, _lists(given, asks))):
            refusal = completed(session, call, refusal, instance(schema), data)
        return refusal

    def _act(
        self, session: Session, call: Call, arguments: list[Any], named: dict[str, Any], query: dict[str, Any]
    ) -> Kept:
        found = self.view(session, call, *arguments, **named)
        answer = found if isinstance(found, Answer) else Answer(found)
        if self._changes:
            session.flush()  # so that what is shown is what will be there: revisions, defaults
        if self.manner.reads is not None:
            subject = next(iter(self.path.values()), call.organization_id)
            audit.note(session, call, f"{self.manner.reads}.read", self.manner.reads, subject)
        return self._written(answer, query)

    def _written(self, answer: Answer, query: dict[str, Any]) -> Kept:
        """The answer as text: written once, inside the transaction, while its rows can be read."""
        status = answer.status or self.manner.status
        headers = dict(answer.headers)
        if self.manner.media is not None:
            text = str(answer.value)
            return Kept(status, {**headers, "Content-Type": self.manner.media, "ETag": replies.tag_of(text)}, text)
        if self.manner.gives is None:
            return Kept(status, headers)
        schema = instance(self.manner.gives)
        if self.manner.many:
            items = ",".join([schema.as_json(each) for each in answer.value.items])
            cursor = cursors.sealed(answer.value.next_cursor, self.manner.name, self.path, query)
            text = f'{{"items":[{items}],"next_cursor":{encoded(cursor)}}}'
        else:
            text = schema.as_json(answer.value)
            revision = _member(answer.value, "revision")
            if revision is not None:
                # A room is bound anew, a task falls due: the same revision, and yet nothing that a cache may repeat.
                told = f"-{replies.digest(text)[:12]}" if schema.lives else ""
                headers.setdefault("ETag", f'"{revision}{told}"')
            if status == 201:  # noqa: PLR2004 - Created
                headers |= replies.location(self.came, _member(answer.value, "id"))
        if not self._changes and not self.manner.many:
            # What has no revision cannot be changed by If-Match; its tag serves those who look again.
            headers.setdefault("ETag", replies.tag_of(text))
        return Kept(status, headers, text)

    def _kept(
        self, act: Callable[[Session, Call], Kept], key: str, fingerprint: str
    ) -> Callable[[Session, Call], Kept]:
        """The same work, carried out once per Idempotency-Key."""
        term = timedelta(days=current_app.extensions["settings"].idempotency_days)

        def work(session: Session, call: Call) -> Kept:
            known = idempotency.claim(session, call, key, fingerprint, keep=term)
            if known is not None:
                return replace(known, headers=known.headers | {"Idempotency-Replayed": "true"})
            answer = act(session, call)
            idempotency.keep(session, call, key, self._without_secrets(answer))
            return answer

        return work

    def _without_secrets(self, answer: Kept) -> Kept:
        if not self.manner.secrets or answer.body is None:
            return answer
        shown = json.loads(answer.body)
        return replace(answer, body=encoded(shown | dict.fromkeys(self.manner.secrets)))


def _body(request: Request) -> Any:
    """The JSON value of the body; nothing at all counts as an empty object."""
    raw = request.get_data(cache=False)
    if not raw:
        return {}
    if request.content_length is None:
        longest = request.max_content_length
        # Werkzeug cuts a chunked body at the limit without a word: what follows must not go unread.
        if longest is not None and len(raw) >= longest and request.environ["wsgi.input"].read(1):
            raise RequestEntityTooLarge
    expect_unpacked()
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    return strict.parse(raw)


def _query_string(request: Request) -> dict[str, list[str]]:
    faults: list[Fault] = []
    found: dict[str, list[str]] = {}
    for name, value in request.args.items(multi=True):
        cleaned = _collected(faults, strict.clean, {name: value})
        for known, text in cleaned.items():
            found.setdefault(known, []).append(text)
    refuse(faults)
    return found


def _dry_run(given: dict[str, list[str]]) -> bool:
    values = given.pop("dry_run", ["false"])
    if len(values) != 1 or values[0] not in {"true", "false"}:
        raise Invalid([Fault("/dry_run", "invalid_type", "dry_run is true or false.")])
    return values[0] == "true"


def _lists(given: dict[str, list[str]], schema: type[Schema]) -> dict[str, Any]:
    """One value per parameter, except where the schema asks for several; twice the same becomes a fault of kind."""
    repeated = {
        known.data_key or name
        for name, known in schema._declared_fields.items()  # noqa: SLF001 - no public way to list them
        if is_repeated(known)
    }
    return {name: values if name in repeated or len(values) > 1 else values[0] for name, values in given.items()}


def _collected(faults: list[Fault], reader: Callable[[Any], dict[str, Any]], value: Any) -> dict[str, Any]:
    try:
        return reader(value)
    except Invalid as error:
        faults.extend(error.faults)
        return {}


def _fingerprint(request: Request, body: Any, revision: Revision | None) -> str:
    """What makes two requests the same: method, address and the body's meaning, not its spacing."""
    query = sorted((name, value) for name, value in request.args.items(multi=True) if name != "dry_run")
    whole = [request.method, request.path, query, revision, body]
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _copied(value: Any) -> Any:
    """A value that was read, with objects and lists of its own; what is in them cannot be changed."""
    if isinstance(value, dict):
        return {name: _copied(each) if type(each) in _CHANGEABLE else each for name, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
