"""The page behind an e-mail's unsubscribe: a look changes nothing, a click ends the kind, one page ends it all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.models import OptOut
from tests.pages.conftest import Sent
from tests.pages.test_pages import follow, text

if TYPE_CHECKING:
    from flask.testing import FlaskClient

MAIL_SCOPES = ["confirm", "stop:reminder"]


def opted_out(sent: Sent) -> dict[str, str]:
    with Session(sent.engine) as session:
        rows = session.scalars(select(OptOut).where(OptOut.ended_at.is_(None)))
        return {row.message_class: row.source for row in rows}


def test_a_mail_program_unsubscribes_with_one_click_and_nothing_else(client: FlaskClient, sent: Sent) -> None:
    path = f"{sent.again(scopes=MAIL_SCOPES)}/stop"
    for _ in range(2):
        seen = client.get(path)
        assert (seen.status_code, seen.headers["Cache-Control"]) == (200, "no-store")
    assert opted_out(sent) == {}, "mail scanners look at every link"
    answer = client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, "Location" in answer.headers, "Set-Cookie" in answer.headers) == (200, False, False)
    assert opted_out(sent) == {"reminder": "unsubscribed in a mail program"}
    assert "You get no more e-mails with reminders of your visits." in text(client.get(path))
    assert client.post(path, data={}).status_code == client.post(path, data={"stop": "x"}).status_code == 400


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_page_ends_all_and_begins_again(client: FlaskClient, sent: Sent) -> None:
    path = f"{sent.again(scopes=MAIL_SCOPES)}/stop"
    assert "You get no e-mails from us." in text(follow(client, path, stop="all", lang="en"))
    follow(client, path, stop="all")
    assert set(opted_out(sent)) == {"*"}
    patient = sent.person.get(f"/v1/patients/{sent.visit['patient_id']}").json
    (consent,) = patient["consents"]
    assert (consent["channel"], consent["source"]) == ("email", "page of a link in an e-mail")
    assert consent["revoked_at"], "with its date"
    page = text(follow(client, path, stop="none", lang="es"))
    assert "No más correos con recordatorios de sus citas" in page
    assert "No recibe" not in page
    assert opted_out(sent) == {}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_it_works_as_long_as_the_mail_lies_around(client: FlaskClient, sent: Sent) -> None:
    path = sent.again(scopes=MAIL_SCOPES)
    sent.clock.move(timedelta(days=20))
    assert client.get(path).status_code == 404
    assert client.post(f"{path}/stop", data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert set(opted_out(sent)) == {"reminder"}
    for other in (sent.path, "/p/x", f"{path[:-1]}_"):
        assert client.get(f"{other}/stop").status_code == client.post(f"{other}/stop", data={"stop": "all"}).status_code
        assert client.get(f"{other}/stop").status_code == 404
