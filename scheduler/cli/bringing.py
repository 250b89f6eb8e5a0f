"""`import`: patients and standing visits of another system, from two CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from sqlalchemy.orm import Session

from scheduler.api.patients import PatientSchema
from scheduler.cli.house import do, house, organization_of, organization_option
from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, refuse
from scheduler.services import importing
from scheduler.services.importing import Brought, Person, Standing

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
#: Columns of the two files: those that must be there, and those that may.
_PATIENT = ("external_id", "name"), ("birth_date", "time_zone", "locale", "email", "phone")
_VISIT = ("patient", "visit_type", "location", "start"), ("note",)


@click.command("import")
@organization_option
@click.option("--patients", type=_FILE, help="CSV: external_id, name, birth_date?, time_zone?, locale?, email?, phone?")
@click.option("--appointments", type=_FILE, help="CSV: patient (an external_id), visit_type, location, start, note?")
@click.option("--system", default="import", show_default=True, help="What external ids call the other system.")
@click.option("--dry-run", is_flag=True, help="Do everything and keep nothing.")
def bring(
    organization: UUID | None, patients: Path | None, appointments: Path | None, system: str, *, dry_run: bool
) -> None:
    """Bring patients and their standing visits over from another system: all, or none and every fault by its line.

    A visit's start is the wall time at its location. Patients who are known by their external_id, and visits that stand
    already, are left as they are, so it may be repeated. Visits are booked like any other, but are no news to anybody.
    """
    people, visits, faults = _read(patients, appointments)

    def work(session: Session, call: Call) -> Brought:
        try:
            done = importing.bring(session, call, people, visits, system=system)
        except Invalid as error:
            raise Invalid([*faults, *error.faults]) from error
        refuse(faults)
        return done

    with house():
        done = do(organization_of(organization), work, dry_run=dry_run)
    kept = "Nothing is kept: " if dry_run else ""
    click.echo(
        f"{kept}{done.patients} patients made, {done.patients_known} were known;"
        f" {done.visits} visits booked, {done.visits_known} stood already."
    )


def _read(patients: Path | None, appointments: Path | None) -> tuple[list[Person], list[Standing], list[Fault]]:
    """What stands in the files, and what of it can't be read."""
    people: list[Person] = []
    visits: list[Standing] = []
    faults: list[Fault] = []
    for line, row in _rows(patients, *_PATIENT, faults):
        values = _person(row)
        wrong = PatientSchema().validate(values)
        faults += [Fault(line, "invalid", f"{line}: {name}: {said}") for name, said in sorted(wrong.items())]
        if not wrong:
            people.append(Person(line, row["external_id"], PatientSchema().load(values)))
    for line, row in _rows(appointments, *_VISIT, faults):
        visits.append(Standing(line, **row))
    return people, visits, faults


def _person(row: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: row[name] for name in ("name", "birth_date", "time_zone", "locale") if name in row}
    ways = (("email", row.get("email")), ("sms", row.get("phone")))
    return values | {"contacts": [{"channel": way, "value": value} for way, value in ways if value]}


def _rows(
    path: Path | None, needed: tuple[str, ...], allowed: tuple[str, ...], faults: list[Fault]
) -> Iterator[tuple[str, dict[str, str]]]:
    """The lines of a file that have all that is needed, each with its name; empty fields are left out."""
    if path is None:
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", strict=True)
            names = set(reader.fieldnames or ())
            wrong = [f"no column {name}" for name in needed if name not in names]
            wrong += [f"an unknown column {name}" for name in sorted(names - {*needed, *allowed})]
            if wrong:
                faults.append(Fault(path.name, "columns", f"{path.name}: {', '.join(wrong)}."))
                return
            for row in reader:
                line = f"{path.name} line {reader.line_num}"
                filled = {
                    name: value.strip() for name, value in row.items() if isinstance(value, str) and value.strip()
                }
                lost = [name for name in needed if name not in filled]
                if lost or "" in row:
                    said = f"no {', '.join(lost)}" if lost else "more fields than columns"
                    faults.append(Fault(line, "fields", f"{line}: {said}."))
                else:
                    yield line, filled
    except (csv.Error, UnicodeDecodeError) as error:
        faults.append(Fault(path.name, "unreadable", f"{path.name}: it is no CSV in UTF-8: {error}."))
