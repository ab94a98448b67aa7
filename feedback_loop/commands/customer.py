"""Commands about what is kept of one customer."""

from __future__ import annotations

import json
from pathlib import Path

import click

from feedback_loop.clock import utc_now
from feedback_loop.commands.console import fail, guarded, open_database, out, settings_or_fail

WHY = "At the customer’s request."


@click.group()
def customer() -> None:
    """What is kept about a customer: show it, erase it."""


@customer.command()
@click.argument("address")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write all of it to this file.")
@click.option("--why", default=WHY, help="Kept in the log; name nobody in it.")
@guarded
def show(address: str, file: Path | None, why: str) -> None:
    """Show everything that is kept about ADDRESS, with what was typed as long as that is kept.

    That it was shown is logged under Settings, A customer's data, without the address.
    """
    from feedback_loop.privacy import service
    from feedback_loop.store.backups import write_whole

    settings = settings_or_fail()
    sessions = open_database(settings)
    try:
        with sessions.begin() as session:
            found = service.show(session, address, None, why, utc_now(), settings, originals=True)
    except service.Refused as error:
        fail(str(error))
    if not found:
        out.print("Nothing is kept about this address.")
    text = json.dumps({"address": address, "kept": found}, ensure_ascii=False, indent=2)
    if file is None:
        if found:
            out.print(text, markup=False, emoji=False)
        return
    try:
        write_whole(file, f"{text}\n".encode())
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}.")
    for name, rows in found.items():
        out.print(f"{len(rows):>6,} {name}", markup=False)
    out.print(f"Written to {file}.", markup=False)


@customer.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--why", default=WHY, help="Kept in the log; name nobody in it.")
@guarded
def erase(address: str, yes: bool, why: str) -> None:
    """Erase everything that is kept about ADDRESS. It cannot be undone; a restore does it again.

    Answers go with all that was made of them, what is owed is not sent, and of what was sent stays only that it was.
    Who wanted no mail stays in that list.
    """
    from feedback_loop.privacy import service

    settings = settings_or_fail()
    sessions = open_database(settings)
    if not yes:
        click.confirm(f"Erase everything about {address}? It cannot be undone", abort=True)
    try:
        with sessions.begin() as session:
            count = service.erase_person(session, address, None, why, utc_now(), settings)
    except service.Refused as error:
        fail(str(error))
    out.print(f"Erased: {count:,} {'entry' if count == 1 else 'entries'}.")
