"""`feedback-loop move-db`."""

from __future__ import annotations

import click
from rich.progress import TextColumn
from sqlalchemy import make_url

from feedback_loop.commands.console import bar, fail, guarded, out, settings_or_fail
from feedback_loop.settings import SettingError, database_url


@click.command("move-db")
@click.option("--to", "target", required=True, help="Address of an empty database, as DATABASE_URL takes it.")
@guarded
def move_db(target: str) -> None:
    """Move everything to another database: from SQLite to PostgreSQL, or back. Stop feedback-loop first.

    The target must be empty: no init is needed there. The database that DATABASE_URL names is only read. Afterwards
    every table is read back and compared.
    """
    from feedback_loop.store.moving import MoveFailed, move
    from feedback_loop.store.presence import InUse

    settings = settings_or_fail()
    try:
        url = database_url(target.strip(), settings.data_folder)
    except SettingError:
        fail("--to must begin with sqlite:/// or postgresql://.")
    with bar(TextColumn("{task.completed:,}/{task.total:,} rows")) as progress:
        task = progress.add_task("Moving", total=1)
        try:
            done = move(
                settings.database_url,
                url,
                lambda what, count, total: progress.update(task, description=what, completed=count, total=total),
            )
        except (MoveFailed, InUse) as error:
            fail(str(error))
    for name, count in done.rows.items():
        if count:
            out.print(f"{name:24} {count:>12,} rows  {done.checksums[name][:16]}")
    out.print(f"{sum(done.rows.values()):,} rows in {len(done.rows)} tables are the same on both sides.")
    if done.cleaned:
        named = ", ".join(done.cleaned[:5]) + (" and more" if len(done.cleaned) > 5 else "")
        out.print(
            f"NUL characters, which PostgreSQL does not store, were left out of {len(done.cleaned)} texts: {named}."
        )
    out.print(f"{make_url(settings.database_url).render_as_string()} was left as it is.")
    out.print(f"Next: set DATABASE_URL={make_url(url).render_as_string()} everywhere, then start feedback-loop up.")
