"""Commands about the mail channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from feedback_loop.commands.console import fail, guarded, out, settings_or_fail

if TYPE_CHECKING:
    from feedback_loop.mail import NotSent
    from feedback_loop.settings import Settings


@click.group()
def mail() -> None:
    """The way mails take."""


@mail.command("test")
@click.argument("address")
@guarded
def test(address: str) -> None:
    """Send a mail to ADDRESS now and print each step: connecting, encryption, sign-in, sender, recipient, answer.

    Ends with 1, and says what to do, when the mail server does not take it. Needs no worker and no database.
    """
    import uuid
    from email.utils import parseaddr

    from rich.markup import escape

    from feedback_loop.clock import utc_now
    from feedback_loop.mail import MailboxTransport, Message, NotSent, SmtpTransport, render

    settings = settings_or_fail()
    domain = parseaddr(settings.mail_from)[1].rpartition("@")[2]
    context = {"name": "", "company": settings.company_name, "page_url": f"{settings.public_url}/settings/mail"}
    subject, text, html = render("staff_test", context)
    message = Message(address, "", subject, text, html, f"<{uuid.uuid4().hex}@{domain}>")
    try:
        if settings.mail_transport == "mailbox":
            with MailboxTransport(settings) as mailbox:
                mailbox.send(message, utc_now())
            out.print(f"MAIL_TRANSPORT is mailbox: no mail leaves this machine. It lies in {settings.mailbox_folder}")
            return
        with SmtpTransport(settings, lambda step, what: out.print(f"{step}: {escape(what)}")) as channel:
            channel.send(message, utc_now())
    except NotSent as error:
        fail(escape(f"{error} {advice(error, settings)}"))
    out.print(f"The mail server has taken the mail to {escape(address)}. If it does not arrive, look into spam first.")


def advice(error: NotSent, settings: Settings) -> str:
    """What to do about a mail that was not taken."""
    import smtplib
    import ssl

    from feedback_loop.mail import ChannelDown, InDoubt, LineBroken, NoSuchAddress, Refused, Unreachable

    cause = error.__cause__
    host = f"{settings.smtp_host}:{settings.smtp_port}"
    known: list[tuple[bool, str]] = [
        (
            isinstance(cause, ssl.SSLCertVerificationError),
            f"The certificate of {host} cannot be trusted. Set SMTP_HOST to the name that stands in it, or have this "
            "machine trust whoever issued it (SSL_CERT_FILE).",
        ),
        (
            isinstance(cause, ssl.SSLError),
            f"{host} does not speak TLS from the first byte on. Set SMTP_SECURITY to starttls, or SMTP_PORT to the "
            "port for TLS, often 465.",
        ),
        (
            isinstance(cause, smtplib.SMTPAuthenticationError),
            "Look at SMTP_USER and SMTP_PASSWORD; some services want a password made for programs.",
        ),
        (
            isinstance(cause, smtplib.SMTPNotSupportedError),
            "The server does not offer what is asked of it: look at SMTP_SECURITY (starttls, tls or none), and leave "
            "SMTP_USER empty where there is no sign-in.",
        ),
        (
            isinstance(error, Unreachable) and cause is not None,
            f"Look at SMTP_HOST and SMTP_PORT, and whether this machine may connect to {host}.",
        ),
        (isinstance(error, Unreachable), f"The server does not let {settings.mail_from} send. Look at MAIL_FROM."),
        (
            isinstance(error, ChannelDown),
            "The server does not want this mail from us: look at SPF, DKIM and DMARC of the domain of MAIL_FROM, and "
            "at the limits of your mail service.",
        ),
        (isinstance(error, InDoubt), "Look whether the mail arrived before you try again. SMTP_TIMEOUT may be short."),
        (isinstance(error, LineBroken), "Try again; if it breaks each time, ask whoever runs the mail server."),
        (isinstance(error, NoSuchAddress), "Look at the address."),
        (isinstance(error, Refused), "The server takes no such mail for this address, for the reason it gives."),
    ]
    return next((text for holds, text in known if holds), "The server says later: try again in some minutes.")
