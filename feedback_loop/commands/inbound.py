"""Commands about mails that come in."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from feedback_loop.clock import utc_now
from feedback_loop.commands.console import err, fail, guarded, open_database, out, settings_or_fail

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: a mail server keeps the mail and calls again


@click.group()
def inbound() -> None:
    """Mails that come back, and replies: try the mailbox, read one mail, show the secret of the webhook."""


@inbound.command()
@guarded
def check() -> None:
    """Open the mailbox of INBOUND_IMAP_HOST and say what is there. Changes nothing."""
    from feedback_loop.inbound.polling import ImapMailbox, Unreachable

    settings = settings_or_fail()
    if not settings.imap_host:
        fail("INBOUND_IMAP_HOST is not set, so no mailbox is looked into.")
    if not settings.inbound_address:
        err.print("INBOUND_ADDRESS is not set: mails are known by their Message-ID only.")
    try:
        with ImapMailbox(settings) as mailbox:
            count = len(mailbox.waiting())
    except Unreachable as error:
        fail(f"{error}. Check the settings that begin with INBOUND_IMAP_.")
    where = f"{settings.imap_folder} of {settings.imap_user} on {settings.imap_host}"
    out.print(f"{where} is open. {count:,} {'mail waits' if count == 1 else 'mails wait'} to be taken.")


@inbound.command()
@click.argument("file", type=click.File("rb"))
@click.option("--recipient", default="", help="To whom the envelope sent it, as in ${original_recipient} of Postfix.")
def read(file: BinaryIO, recipient: str) -> None:
    """Take in one mail from FILE, or from standard input with -; a mail server can pipe mails here.

    Ends with 75 where it is to be tried again, as mail servers understand it.
    """
    try:
        take_one(file, recipient)
    except SystemExit as error:  # a setting is wrong, or the database does not answer; the message is out
        sys.exit(TRY_AGAIN if error.code else 0)
    except Exception as error:
        err.print(f"[red]Error:[/red] {type(error).__name__}. Try again later.")
        sys.exit(TRY_AGAIN)


def take_one(file: BinaryIO, recipient: str) -> None:
    """Read one mail and say what became of it."""
    from feedback_loop.inbound.mime import LONGEST
    from feedback_loop.inbound.models import Way
    from feedback_loop.inbound.taking import take

    settings = settings_or_fail()
    sessions = open_database(settings)
    raw = file.read(LONGEST)
    while file.read(LONGEST):  # a pipe that is closed early is an error to whoever writes into it
        pass
    done = take(sessions, settings, raw, Way.COMMAND, utc_now(), recipient)
    out.print(f"{done.kind.value.replace('_', ' ')}: {done.reason}", markup=False)


@inbound.command()
@guarded
def secret() -> None:
    """Show the secret with which a mail server hands mails to PUBLIC_URL/inbound/mail."""
    from feedback_loop.inbound.service import secret as secret_of

    settings = settings_or_fail()
    out.print(f"POST {settings.public_url}/inbound/mail", markup=False)
    out.print(f"Authorization: Bearer {secret_of(settings)}", markup=False)
