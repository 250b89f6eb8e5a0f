"""The pages of a visit: read the link, call one service, show. Whatever is refused is said in the patient's words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import Blueprint, Response, current_app, redirect, render_template, request, send_from_directory, url_for

from scheduler.core.calendar_entry import Method
from scheduler.core.call import Call
from scheduler.core.civil import YEARS
from scheduler.core.errors import LinkOver, NotFound, SchedulingError
from scheduler.database import db, transact
from scheduler.messaging.numbers import grouped
from scheduler.pages.words import Words, languages
from scheduler.services import Session, patient_links, patient_visit, unsubscribing
from scheduler.services.patient_links import Ending, Opened
from scheduler.services.patient_visit import PatientVisit
from scheduler.services.unsubscribing import Wish

blp = Blueprint("pages", __name__, url_prefix="/p", template_folder="templates")

blp.add_app_template_filter(grouped)

#: A page loads its own style sheet, sends its forms here, and nothing else; nobody may frame it.
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

#: What the form of answers has asked, since a browser leaves out a box without a tick. No item's key has such a mark.
_ASKED = "asked-now"

T = TypeVar("T")
Act = Callable[[Session, Call, Opened], Any]
_NOBODY = UUID(int=0)

#: What any other refusal is of a new time, and of all else.
_TAKEN = "That time has just been taken. Please choose another."
_NOT_NOW = "That cannot be answered now."
#: What a form of ours never sends.
_NO_CHOICE = "That is none of the choices here. Please choose again."
#: What a refusal is to a patient.
_SAYS = {
    "cutoff": "It is too late to change this here. Please call us.",
    "too_many_changes": "This visit has been moved before. Please call us to change it.",
    "illegal_transition": "This cannot be changed any more. Please call us.",
    "nothing_said": "Nothing was filled in.",
    "link_over": "This link is for an earlier time. Please use the newest message, or call us.",
}
#: What was done, said once after it.
_DONE = {
    "confirm": "Thank you. We look forward to seeing you.",
    "answers": "Thank you. We have noted that.",
    "reschedule": "Your visit has a new time.",
    "cancel": "Your visit is cancelled.",
    "preferences": "Thank you. We will write to you that way.",
    "stop": "Thank you. We have noted that.",
}
#: What messages of a class are, to a patient.
_KINDS = {
    "reminder": "reminders of your visits",
    "instruction": "what to mind before and after a visit",
    "change": "news of booked, changed and cancelled visits",
    "check_in": "questions after a visit",
}


@blp.after_app_request
def _cautious(response: Response) -> Response:
    """Of every answer under the pages' address, also where there is no page, or none by that method."""
    if request.path.startswith(f"{blp.url_prefix}/"):
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


@blp.get("/style.css")
def style() -> Response:
    """The one file that the pages load."""
    response = send_from_directory(f"{blp.root_path}/static", "style.css", max_age=86_400)
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response


@blp.get("/<token>")
def show(token: str) -> Response:
    """The visit: when, where, what to mind, and what can be done about it."""
    return _page(token, "visit.html")


@blp.get("/<token>/")
@blp.get("/<token>/confirm")
@blp.get("/<token>/answers")
@blp.get("/<token>/preferences")
def lead_back(token: str) -> Response:
    """To the visit: a phone asks anew for the address of a form that was refused, a mail program may add a slash."""
    return _plain(redirect(url_for("pages.show", token=token, lang=next(iter(_asked()), None)), code=303))


@blp.get("/<token>/times")
def times(token: str) -> Response:
    """Other times for it, from a moment on."""
    asked = request.args.get("from")
    since = _moment(asked) if asked else None
    return _times_page(token, since) if since or not asked else _times_page(token, trouble=_NO_CHOICE, status=400)


def _times_page(
    token: str, since: datetime | None = None, *, trouble: str | None = None, status: int = 200
) -> Response:
    def more(session: Session, call: Call, opened: Opened, words: Words) -> dict[str, Any]:
        found = patient_visit.times(session, call, opened, since)
        days = [(day, list(group)) for day, group in groupby(found.starts, key=words.day)]
        return {"days": days, "later": found.later, "week": found.week, "since": since}

    return _page(token, "times.html", trouble=trouble, status=status, more=more)


@blp.get("/<token>/cancel")
def ask_to_cancel(token: str) -> Response:
    """Whether it is really to be cancelled."""
    return _page(token, "cancel.html")


@blp.get("/<token>/visit.ics")
def calendar(token: str) -> Response:
    """The visit for the patient's own calendar."""
    from scheduler import ics  # the library behind it takes long to load, and few processes ever need it

    try:
        seen = _with_link(token, patient_visit.look)
    except (NotFound, LinkOver) as refusal:
        return _ended(refusal, token)
    method: Method = "CANCEL" if seen.entry.status == "CANCELLED" else "PUBLISH"
    response = Response(ics.invitation([seen.entry], method), mimetype="text/calendar")
    response.headers["Content-Disposition"] = 'attachment; filename="visit.ics"'
    return response


@blp.post("/<token>/confirm")
def confirm(token: str) -> Response:
    """The patient will come."""
    return _act(token, "confirm", patient_visit.confirm)


@blp.post("/<token>/answers")
def answers(token: str) -> Response:
    """Who drives home, and what was kept."""
    given = {key: value for key, value in request.form.items() if key not in {"lang", _ASKED}}
    asked = request.form.getlist(_ASKED)
    return _act(token, "answers", lambda s, c, opened: patient_visit.answer(s, c, opened, given, asked))


@blp.post("/<token>/times")
def reschedule(token: str) -> Response:
    """The patient wants that other time. The old link ends with the old time, so a new one is given."""
    start = _moment(request.form.get("start", ""))
    if start is None:
        return _times_page(token, trouble=_NO_CHOICE, status=400)
    return _act(token, "reschedule", lambda s, c, opened: patient_visit.reschedule(s, c, opened, start), start)


@blp.post("/<token>/cancel")
def cancel(token: str) -> Response:
    """The patient gives the visit up."""
    return _act(token, "cancel", patient_visit.cancel)


@blp.post("/<token>/preferences")
def prefer(token: str) -> Response:
    """Language and channel."""
    locale = request.form.get("locale", "")
    if locale not in languages():
        return _page(token, "visit.html", trouble=_NO_CHOICE, status=400)
    channel = request.form.get("channel")
    return _act(
        token, "preferences", lambda s, c, opened: patient_visit.prefer(s, c, opened, locale=locale, channel=channel)
    )


@blp.get("/<token>/stop")
def ask_to_stop(token: str) -> Response:
    """Which e-mails are stopped, and which can be."""
    return _stop_page(token)


@blp.post("/<token>/stop")
def stop(token: str) -> Response:
    """Stop e-mails of the kind, or all, or none. A mail program that asks by one click (RFC 8058) isn't redirected."""
    one_click = "List-Unsubscribe" in request.form
    wanted = "kind" if one_click else request.form.get("stop", "")
    if wanted not in {"kind", "all", "none"}:
        return _stop_page(token, trouble=_NO_CHOICE, status=400)
    source = "unsubscribed in a mail program" if one_click else "page of a link in an e-mail"

    def work(session: Session, call: Call, link: Ending) -> None:
        unsubscribing.wish(session, call, link, cast("Wish", wanted), source)

    try:
        _with_stop(token, work)
    except NotFound as refusal:
        return _ended(refusal, token)
    if one_click:
        return Response("", status=200, mimetype="text/plain")
    where = url_for("pages.ask_to_stop", token=token, done="stop", lang=next(iter(_asked()), None))
    return _plain(redirect(where, code=303))


def _stop_page(token: str, *, trouble: str | None = None, status: int = 200) -> Response:
    try:
        seen = _with_stop(token, unsubscribing.look)
    except NotFound as refusal:
        return _ended(refusal, token)
    done = _DONE["stop"] if request.args.get("done") == "stop" else None
    kind = _KINDS[seen.message_class]
    words = Words.of([*_asked(), *seen.locales])
    shown = {"visit": seen, "_": words, "token": token, "kind": kind, "done": done, "trouble": trouble}
    return Response(render_template("stop.html", languages=languages(), **shown), status=status)


def _with_stop(token: str, work: Callable[[Session, Call, Ending], T]) -> T:
    """The same for a link's other use: it ends messages, whatever became of the visit."""

    def opened(session: Session, call: Call) -> T:
        link = patient_links.opened_to_stop(session, token)
        return work(session, link.call(call), link)

    return transact(db.session(), _anybody(), opened)


def _act(token: str, what: str, act: Act, start: datetime | None = None) -> Response:
    """Do it in one transaction, then send the browser to look; refused, show the page again with the reason.

    `start` is the new time that is wanted of the visit.
    """
    try:
        fresh = _with_link(token, act)
    except (NotFound, LinkOver) as refusal:
        return _ended(refusal, token, start)
    except SchedulingError as refusal:
        other = {"reschedule": _TAKEN, "preferences": _NO_CHOICE}.get(what, _NOT_NOW)
        return _page(token, "visit.html", trouble=_SAYS.get(refusal.code, other), status=409)
    where = url_for("pages.show", token=fresh or token, done=what, lang=next(iter(_asked()), None))
    return _plain(redirect(where, code=303))


def _page(
    token: str,
    template: str,
    *,
    trouble: str | None = None,
    status: int = 200,
    more: Callable[[Session, Call, Opened, Words], dict[str, Any]] | None = None,
) -> Response:
    def work(session: Session, call: Call, opened: Opened) -> tuple[PatientVisit, Words, dict[str, Any]]:
        seen = patient_visit.look(session, call, opened)
        words = Words.of([*_asked(), *seen.locales], seen.entry.time_zone, seen.patient_zone)
        return seen, words, more(session, call, opened, words) if more is not None else {}

    try:
        seen, words, further = _with_link(token, work)
    except (NotFound, LinkOver) as refusal:
        return _ended(refusal, token)
    if seen.state in {"off", "missed"}:
        template = "visit.html"  # which says so, and asks nothing
    done = _DONE.get(request.args.get("done", "")) if trouble is None else None
    shown = {"visit": seen, "_": words, "token": token, "trouble": trouble, "done": done, "languages": languages()}
    return Response(render_template(template, **shown, **further), status=status)


def _moment(text: str) -> datetime | None:
    """The instant that a page of ours wrote there, if it did."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.utcoffset() is None or found.year not in YEARS else found


def _with_link(token: str, work: Callable[[Session, Call, Opened], T]) -> T:
    """Open the link and work with it, in one transaction. Raises NotFound, LinkOver, and what the work raises."""

    def opened(session: Session, call: Call) -> T:
        found = patient_links.opened(session, token, call.now)
        return work(session, found.call(call), found)

    return transact(db.session(), _anybody(), opened)


def _anybody() -> Call:
    """Who has not shown a link yet."""
    return Call(now=current_app.extensions["clock"](), organization_id=_NOBODY, actor="patient link")


def _ended(refusal: SchedulingError, token: str, start: datetime | None = None) -> Response:
    """One page for every link that opens nothing: it does not tell why.

    That a visit has moved, is off or was missed is no secret; to whom is told in `patient_visit` by a second tap, that
    it has moved to `start`. A link that is known says how to call the clinic, in its patient's language; else only the
    browser's is known.
    """
    browsers = [tag for tag, _ in request.accept_languages]
    if isinstance(refusal, LinkOver):
        try:
            seen = _with_link(token, lambda s, c, opened: patient_visit.clinic(s, c, opened, start))
        except NotFound:  # it was ended meanwhile
            return _ended(NotFound("This link has ended."), token)
        trouble = None if seen.end or seen.moved_to else _SAYS["link_over"]
        words = Words.of([*_asked(), *seen.locales], seen.time_zone, seen.patient_zone)
        shown = {"_": words, "trouble": trouble, "visit": seen}
        status = 200 if seen.moved_to else 410
        return Response(render_template("ended.html", languages=languages(), **shown), status=status)
    shown = {"_": Words.of([*_asked(), *browsers]), "trouble": None}
    return Response(render_template("ended.html", **shown), status=404)


def _asked() -> list[str]:
    """The languages that the address asks for."""
    chosen = request.values.get("lang")
    return [chosen] if chosen in languages() else []


def _plain(answer: Any) -> Response:
    return Response(answer.get_data(), status=answer.status_code, headers=answer.headers)
