"""`plan`: plans and books courses, and shows them as a timeline."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import click
from rich.console import Console
from sqlalchemy.orm import Session

from scheduler import terminal, worker
from scheduler.cli.house import do, house, organization_of, organization_option, settings
from scheduler.core.call import Call
from scheduler.services import jobs, plan_batches, planning, plans, rebooking, timelines
from scheduler.services.plans import OfferedPlan


@click.command()
@organization_option
@click.argument("course_ids", nargs=-1, required=True, type=click.UUID, metavar="COURSE_ID...")
@click.option("--alternatives", default=1, show_default=True, type=click.IntRange(1, 5), help="How many plans.")
@click.option("--through", default="next_gate", show_default=True, type=click.Choice(["next_gate", "all"]))
@click.option("--seconds", default=30, show_default=True, type=click.IntRange(1, 600), help="For several courses.")
@click.option("--book", "token", help="Book the plan of that token instead of making plans.")
def plan(
    organization: UUID | None,
    course_ids: tuple[UUID, ...],
    alternatives: int,
    through: Literal["next_gate", "all"],
    seconds: int,
    token: str | None,
) -> None:
    """Plan a course and show its best plan, or book a plan, also a re-plan's, and show the course.

    Several courses are planned together, as a job.
    """
    with house():
        owner, console = organization_of(organization), Console()
        if len(course_ids) > 1:
            _plan_together(console, owner, course_ids, through, seconds)
            return
        course_id = course_ids[0]
        if token is not None:
            booked = token
            do(owner, lambda session, call: [view.id for view in rebooking.accept(session, call, course_id, booked)])
            timeline = do(owner, lambda s, call: timelines.of_course(s, call, course_id))
        else:

            def work(session: Session, call: Call) -> list[OfferedPlan]:
                desk, found = planning.make_plans(session, call, course_id, count=alternatives, through=through)
                return plans.keep(session, call, desk, found, settings().plan_minutes, through=through)

            offered = do(owner, work)
            terminal.show_plans(console, offered)
            timeline = do(owner, lambda s, call: timelines.of_plan(s, call, course_id, offered[0].token))
        terminal.show_timeline(console, timeline)


def _plan_together(
    console: Console, owner: UUID, course_ids: tuple[UUID, ...], through: Literal["next_gate", "all"], seconds: int
) -> None:
    """Ask for the job, lend it a hand of this process, and show how far it is until it is over."""

    def ask(session: Session, call: Call) -> UUID:
        asked = plan_batches.ask(session, call, course_ids, through=through, seconds=seconds, seed=0, rounds=10_000)
        return asked.id

    def look(session: Session, call: Call) -> Mapping[str, Any]:
        row = jobs.get(session, call, job_id)
        return {"status": row.status, "progress": row.progress / 1000, "step": row.step, "result": row.result}

    job_id = do(owner, ask)
    ticker = worker.build_ticker(settings())
    helper = threading.Thread(target=ticker.worker.jobs.run_due, daemon=True)
    helper.start()
    ended = terminal.watch(console, lambda: do(owner, look))
    helper.join()
    ticker.worker.close()
    result = ended["result"] or {"courses": (), "placed": 0, "bound": None}
    for line in result["courses"]:
        said = line["plan_token"] or line["code"].replace("_", " ")
        console.print(f"{line['course_id']}  {said}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"{ended['status']}: {verdict(result, len(course_ids))}", highlight=False)


def verdict(result: Mapping[str, Any], asked: int) -> str:
    """How many courses have a place, and how many could: the bound of a batch is of the quarters of the hour alone."""
    said = f"{result['placed']} of {asked} courses have a place"
    bound = result["bound"]
    if bound is None or result["placed"] - result["between_quarters"] >= asked - bound["unplaced"]:
        return f"{said}."
    return f"{said}; on the quarters of the hour at most {asked - bound['unplaced']} could."
