"""`feedback-loop backup` and `feedback-loop restore`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import TextColumn

from feedback_loop.clock import utc_now
from feedback_loop.commands.console import bar, fail, give_way, guarded, out, settings_or_fail
from feedback_loop.settings import Settings


@contextmanager
def shown(title: str) -> Iterator[Callable[[str, float], None]]:
    """A progress bar meanwhile; yields what moves it."""
    with bar(TextColumn("{task.percentage:>3.0f} %")) as progress:
        task = progress.add_task(title, total=1.0)
        yield lambda what, share: progress.update(task, description=what, completed=share)


def about_the_key(settings: Settings) -> str:
    """How to keep the secret key, which no backup holds."""
    if os.environ.get("SECRET_KEY", "").strip():
        return (
            "Your SECRET_KEY is not in it. Keep that value apart from the backups: without it no original can be read."
        )
    return (
        f"The secret key is not in it. Keep a copy of {settings.data_folder / 'secret-key'} apart from the backups: "
        "without it no original can be read and no link of a customer opens."
    )


@click.command()
@click.argument("target", required=False, type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(1, 10_000), default=None, help="Remove all but so many of the newest.")
@click.option("--hurry", is_flag=True, help="Take no breaks. Whoever answers meanwhile waits longer.")
@guarded
def backup(target: Path | None, keep: int | None, hurry: bool) -> None:
    """Write a backup to TARGET, a folder or a file; by default to BACKUP_FOLDER. Everybody may go on working meanwhile.

    Beside it a manifest is written, FILE.json, that `restore` needs. The secret key is not in the backup.
    """
    from feedback_loop.store.backups import BackupFailed, back_up, forget_older, read_manifest
    from feedback_loop.store.pace import GENTLE, HURRIED
    from feedback_loop.store.postgres import ToolFailed

    give_way()
    settings = settings_or_fail()
    with shown("Backup") as progress:
        try:
            file = back_up(settings, target, utc_now(), progress, HURRIED if hurry else GENTLE)
        except (BackupFailed, ToolFailed) as error:
            fail(str(error))
    manifest = read_manifest(file)
    out.print(f"{file} ({manifest.size / 1e6:,.1f} MB, {sum(manifest.tables.values()):,} rows, checked)")
    if keep is not None:
        for each in forget_older(file.parent, keep):
            out.print(f"Removed {each}")
    out.print(about_the_key(settings))
    out.print(f"To restore it: feedback-loop restore {file}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--without-present", is_flag=True, help="Go on although the present database cannot be read.")
@click.option(
    "--mails",
    type=click.Choice(["hold", "send"]),
    default="hold",
    show_default=True,
    help="What becomes of pending mails where nobody knows whether they were sent after the backup.",
)
@guarded
def restore(file: Path, without_present: bool, mails: str) -> None:
    """Put a backup in the place of the database. Stop feedback-loop first.

    The present database is kept beside it. As long as that can be read, answers that were erased after the backup stay
    erased, addresses that unsubscribed get no mail, and mails that were sent are not sent again.
    """
    from feedback_loop.store.backups import BackupFailed
    from feedback_loop.store.postgres import ToolFailed
    from feedback_loop.store.presence import InUse
    from feedback_loop.store.restoring import RestoreFailed
    from feedback_loop.store.restoring import restore as run

    settings = settings_or_fail()
    with shown("Restore") as progress:
        try:
            done = run(
                settings, file, utc_now(), without_present=without_present, send_pending=mails == "send",
                progress=progress,
            )  # fmt: skip
        except (BackupFailed, ToolFailed, InUse, RestoreFailed) as error:
            fail(str(error))
    made = done.manifest
    out.print(f"Restored the state of {made.moment:%Y-%m-%d %H:%M:%S} UTC: {sum(done.rows.values()):,} rows, checked.")
    if done.migrated:
        out.print(f"Its schema was of revision {made.revision} and has been upgraded.")
    if done.replayed is not None:
        found = done.replayed
        out.print(
            f"Done again from the database that was replaced: {found.erased:,} answers and all about {found.people:,} "
            f"addresses erased, {found.suppressed:,} "
            f"addresses that get no mail, {found.followed + found.remembered:,} mails and calls that went out since, "
            f"{found.taken_back:,} rights, mailings and runs that were taken back or changed."
        )
    if done.replayed is None or not done.replayed.is_same:
        why = (
            "There was no present database to look at"
            if done.replayed is None
            else "The database that was replaced is not what became of the one that was backed up: it is a new one, or "
            "an older backup was restored since"
        )
        out.print(
            f"{why}. So answers that were erased after the backup may be here again, and who unsubscribed after it may "
            "get mail. If you know of any, erase and suppress them before you start."
        )
    if done.held:
        out.print(
            f"{done.held:,} mails that were pending may have been sent since; they are held as failed. "
            "“Try again” on their pages sends them; restoring with --mails send would have."
        )
    if not done.has_key:
        out.print(
            "[yellow]Warning:[/yellow] this secret key is not the one of the backup: originals cannot be read, and "
            "links in mails that were sent do not open. Put the old key back (SECRET_KEY or DATA_FOLDER/secret-key)."
        )
    if done.aside:
        where = "the database" if settings.database_url.startswith("postgresql") else "the file"
        out.print(f"What was replaced is kept as {where} {done.aside}. Remove it when all is well.")
    out.print("Next: feedback-loop doctor --deep, then start feedback-loop up")
