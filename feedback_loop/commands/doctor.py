"""`feedback-loop doctor`."""

from __future__ import annotations

import json
import sys

import click

from feedback_loop.commands.console import err, guarded, out

COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command()
@click.option("--deep", is_flag=True, help="Also read the whole database, and load the embedding model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@guarded
def doctor(deep: bool, as_json: bool) -> None:
    """Look whether everything is well, and say what to do where it is not. Changes nothing; exit code 1 if it is bad.

    May run beside web and worker. --deep reads everything, which takes its time on a big database.
    """
    from feedback_loop.store.doctor import examine

    with err.status("Looking") as status:
        found = examine(deep, status.update)
    if as_json:
        click.echo(json.dumps({"verdict": worst(found), "checks": [each.as_dict() for each in found]}))
    else:
        width = max(len(each.name) for each in found)
        for each in found:
            colour = COLOURS[each.state]
            out.print(f"[{colour}]{each.state:4}[/{colour}]  {each.name:{width}}  ", end="")
            out.print(each.said, markup=False)
            if each.todo:
                out.print(f"      {'':{width}}  → {each.todo}", markup=False)
        bad, warned = (sum(each.state == state for each in found) for state in ("bad", "warn"))
        out.print(f"{len(found)} checks: {bad} bad, {warned} to look at.")
    sys.exit(1 if worst(found) == "bad" else 0)


def worst(found: list) -> str:  # type: ignore[type-arg]
    """The verdict over all checks."""
    states = {each.state for each in found}
    return next(state for state in ("bad", "warn", "ok") if state in states or state == "ok")
