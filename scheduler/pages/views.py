"""The pages of a visit: read the link, call one service, show. Whatever is refused is said in the patient's words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, current_app, redirect, render_template, request, send_from_directory, url_for
from werkzeug.exceptions import BadRequest

from scheduler.core.call import Call
from scheduler.core.errors import LinkOver, NotFound, SchedulingError
from scheduler.database import db, transact
from scheduler.pages.words import Words, languages
from scheduler.services import Session, patient_links, patient_visit
from scheduler.services.patient_links import Opened
from scheduler.services.patient_visit import PatientVisit

blp = Blueprint("pages", __name__, url_prefix="/p", template_folder="templates")

#: A page loads its own style sheet, sends its forms here, and nothing else; nobody may frame it.
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

Act = Callable[[Session, Call, Opened], Any]

#: What a refusal is to a patient. Anything else is a time that went meanwhile.
_SAYS = {
    "cutoff": "It is too late to change this here. Please call us.",
    "too_many_changes": "This visit has been moved before. Please call us to change it.",
    "illegal_transition": "This cannot be changed any more. Please call us.",
    "not_asked_now": "That cannot be answered now.",
    "invalid": "That cannot be answered now.",
    "link_over": "This link is for an earlier time. Please use the newest message, or call us.",
}
_TAKEN = "That time has just been taken. Please choose another."
#: What was done, said once after it.
_DONE = {
    "confirm": "Thank you. We look forward to seeing you.",
    "answers": "Thank you. We have noted that.",
    "reschedule": "Your visit has a new time.",
    "cancel": "Your visit is cancelled.",
    "preferences": "Thank you. We will write to you that way.",
}


@blp.after_request
def _cautious(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers.setdefault("Cache-Control", "no-store")
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


@blp.get("/<token>/times")
def times(token: str) -> Response:
    """Other times for it."""
    return _page(token, "times.html", more=_times)


@blp.get("/<token>/cancel")
def ask_to_cancel(token: str) -> Response:
    """Whether it is really to be cancelled."""
    return _page(token, "cancel.html")


@blp.get("/<token>/visit.ics")
def calendar(token: str) -> Response:
    """The visit for the patient's own calendar."""
    from scheduler import ics  # the library behind it takes long to load, and few processes ever need it

    seen = _look(token)
    if seen is None:
        return _ended(Words.of(_asked()))
    off = seen.state == "off"
    entry = ics.Entry(
        visit_id=str(seen.visit_id),
        sequence=seen.sequence,
        start=seen.starts_at,
        end=seen.ends_at,
        time_zone=seen.time_zone,
        title=seen.title,
        status="CANCELLED" if off else "TENTATIVE" if seen.state == "unsure" else "CONFIRMED",
        stamp=seen.changed_at,
        place=seen.address,
    )
    response = Response(ics.invitation(entry, "CANCEL" if off else "PUBLISH"), mimetype="text/calendar")
    response.headers["Content-Disposition"] = 'attachment; filename="visit.ics"'
    return response


@blp.post("/<token>/confirm")
def confirm(token: str) -> Response:
    """The patient will come."""
    return _act(token, "confirm", patient_visit.confirm)


@blp.post("/<token>/answers")
def answers(token: str) -> Response:
    """Who drives home, and what was kept."""
    given = {key: value for key, value in request.form.items() if key != "lang"}
    return _act(token, "answers", lambda s, c, opened: patient_visit.answer(s, c, opened, given))


@blp.post("/<token>/times")
def reschedule(token: str) -> Response:
    """The patient wants that other time. The old link ends with the old time, so a new one is given."""
    try:
        start = datetime.fromisoformat(request.form.get("start", ""))
    except ValueError:
        raise BadRequest from None
    if start.utcoffset() is None:
        raise BadRequest
    return _act(token, "reschedule", lambda s, c, opened: patient_visit.reschedule(s, c, opened, start))


@blp.post("/<token>/cancel")
def cancel(token: str) -> Response:
    """The patient gives the visit up."""
    return _act(token, "cancel", patient_visit.cancel)


@blp.post("/<token>/preferences")
def prefer(token: str) -> Response:
    """Language and channel."""
    locale = request.form.get("locale", "")
    if locale not in languages():
        raise BadRequest
    channel = request.form.get("channel")
    return _act(
        token, "preferences", lambda s, c, opened: patient_visit.prefer(s, c, opened, locale=locale, channel=channel)
    )


def _act(token: str, what: str, act: Act) -> Response:
    """Do it in one transaction, then send the browser to look; refused, show the page again with the reason."""
    session, now = db.session(), current_app.extensions["clock"]()
    try:
        opened = patient_links.opened(session, token, now)
    except NotFound:
        return _ended(Words.of(_asked()))
    call = opened.call(now)
    session.rollback()

    def work(session: Session, call: Call) -> Any:
        return act(session, call, patient_links.opened(session, token, now))

    try:
        fresh = transact(session, call, work)
    except SchedulingError as refusal:
        gone = isinstance(refusal, LinkOver)
        return _page(token, "visit.html", trouble=_SAYS.get(refusal.code, _TAKEN), status=410 if gone else 409)
    where = url_for("pages.show", token=fresh or token, done=what, lang=request.form.get("lang") or None)
    return _plain(redirect(where, code=303))


def _page(
    token: str,
    template: str,
    *,
    trouble: str | None = None,
    status: int = 200,
    more: Callable[[Session, Call, Opened, Words], dict[str, Any]] | None = None,
) -> Response:
    session, now = db.session(), current_app.extensions["clock"]()
    try:
        opened = patient_links.opened(session, token, now)
    except NotFound:
        return _ended(Words.of(_asked()))
    call = opened.call(now)
    session.rollback()

    def work(session: Session, call: Call) -> tuple[PatientVisit, Words, dict[str, Any]]:
        opened = patient_links.opened(session, token, now)
        seen = patient_visit.look(session, call, opened)
        words = Words.of([*_asked(), *seen.locales], seen.time_zone, seen.patient_zone)
        return seen, words, more(session, call, opened, words) if more is not None else {}

    try:
        seen, words, further = transact(session, call, work)
    except LinkOver:
        return _page(token, "visit.html", trouble=_SAYS["link_over"], status=410)
    done = _DONE.get(request.args.get("done", "")) if trouble is None else None
    shown = {"visit": seen, "_": words, "token": token, "trouble": trouble, "done": done, "languages": languages()}
    return Response(render_template(template, **shown, **further), status=status)


def _times(session: Session, call: Call, opened: Opened, words: Words) -> dict[str, Any]:
    starts = patient_visit.times(session, call, opened)
    return {"days": [(day, list(group)) for day, group in groupby(starts, key=words.day)]}


def _look(token: str) -> PatientVisit | None:
    session, now = db.session(), current_app.extensions["clock"]()
    try:
        call = patient_links.opened(session, token, now).call(now)
    except NotFound:
        return None
    session.rollback()
    return transact(session, call, lambda s, c: patient_visit.look(s, c, patient_links.opened(s, token, now)))


def _ended(words: Words) -> Response:
    """One page for every link that opens nothing: it does not tell why."""
    return Response(render_template("ended.html", _=words), status=404)


def _asked() -> list[str]:
    """The languages that the address asks for."""
    chosen = request.values.get("lang")
    return [chosen] if chosen in languages() else []


def _plain(answer: Any) -> Response:
    return Response(answer.get_data(), status=answer.status_code, headers=answer.headers)
