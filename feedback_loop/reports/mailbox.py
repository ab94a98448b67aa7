"""The demo's mailbox: what customers were sent, read from the folder that stands in for a mail server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import cast

from flask import Blueprint, abort, render_template, request

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role
from feedback_loop.web.database import settings

bp = Blueprint("mailbox", __name__, url_prefix="/demo/mailbox")
SHOWN = 100


@dataclass(frozen=True)
class Mail:
    """A mail as its reader sees it."""

    key: str
    to: str
    sender: str
    subject: str
    at: datetime
    text: str
    html: str


def read(path: Path) -> Mail:
    """Read one mail from its file."""
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    return Mail(
        path.stem,
        str(message["To"]),
        str(message["From"]),
        str(message["Subject"]),
        parsedate_to_datetime(str(message["Date"])),
        cast(str, plain.get_content()) if plain else "",
        cast(str, html.get_content()) if html else "",
    )


@bp.get("/")
@staff(Role.VIEWER)
def index() -> str:
    """All mails, the newest first; `?to=` looks for a person."""
    wanted = request.args.get("to", "").strip().casefold()
    files = settings().mailbox_folder.glob("*.eml")
    found = sorted((read(path) for path in files), key=lambda mail: (mail.at, mail.key), reverse=True)
    found = [mail for mail in found if wanted in mail.to.casefold()]
    return render_template("mailbox/index.html", mails=found[:SHOWN], count=len(found), wanted=wanted)


@bp.get("/<key>")
@staff(Role.VIEWER)
def mail(key: str) -> str:
    """One mail."""
    path = settings().mailbox_folder / f"{key}.eml"
    if not key.isalnum() or not path.is_file():
        abort(404)
    return render_template("mailbox/mail.html", mail=read(path))
