"""Mails of all kinds as servers and people write them, in words of our own."""

from __future__ import annotations

import base64
import quopri

OUR_ID = "<0123456789abcdef0123456789abcdef@fernhill.example>"


def flat(text: str) -> bytes:
    """As it travels: lines end in CRLF."""
    return text.lstrip("\n").replace("\n", "\r\n").encode()


def dsn(
    to: str,
    status: str = "5.1.1",
    action: str = "failed",
    diagnostic: str = "smtp; 550 5.1.1 no such person here",
    *,
    returned: str = OUR_ID,
    message_id: str = "<20261012093100.1@mx.example.net>",
) -> bytes:
    """A report as Postfix writes it. Without `returned` it brings nothing back."""
    copy = (
        f"\n--b1\nContent-Type: message/rfc822\n\nFrom: care@fernhill.example\nSubject: What became of it\n"
        f"Message-ID: {returned}\n\nParcels now carry two labels.\n"
        if returned
        else ""
    )
    diagnosis = f"Diagnostic-Code: {diagnostic}\n" if diagnostic else ""
    told = f"Status: {status}\n" if status else ""
    return flat(f"""
Return-Path: <>
Delivered-To: {to}
Date: Mon, 12 Oct 2026 09:31:00 +0000
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: {message_id}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="b1"

This is a MIME message.

--b1
Content-Type: text/plain; charset=us-ascii

I am the mail server mx.example.net. Your mail came back.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Mon, 12 Oct 2026 09:30:58 +0000

Final-Recipient: rfc822; maya@example.com
Action: {action}
{told}{diagnosis}{copy}
--b1--
""")


def exchange(to: str) -> bytes:
    """A report as Exchange writes it: HTML beside, the returned headers encoded, no Delivered-To."""
    html = base64.b64encode(b"<html><body><b>Your message could not be delivered.</b></body></html>").decode()
    return flat(f"""
From: <postmaster@corp.example>
To: <{to}>
Date: Mon, 12 Oct 2026 09:31:00 +0000
Content-Type: multipart/report; report-type=delivery-status; boundary=A_B_C
X-MS-Exchange-Message-Is-Ndr:
Message-ID: <f00@corp.example>
In-Reply-To: {OUR_ID}
Subject: Undeliverable: What became of it

--A_B_C
Content-Type: multipart/alternative; boundary=inner
Content-Language: en-US

--inner
Content-Type: text/html; charset="us-ascii"
Content-Transfer-Encoding: base64

{html}
--inner--

--A_B_C
Content-Type: message/delivery-status

Reporting-MTA: dns;SRV1.corp.example

Final-recipient: RFC822;maya@corp.example
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found

--A_B_C
Content-Type: text/rfc822-headers

Message-ID: {OUR_ID}
Subject: What became of it

--A_B_C--
""")


def qmail(to: str, code: str = "550 5.1.1 sorry, no mailbox here by that name") -> bytes:
    """A bounce in plain words."""
    return flat(f"""
Return-Path: <>
Delivered-To: {to}
Date: 12 Oct 2026 09:31:00 -0000
From: MAILER-DAEMON@old.example.org
To: {to}
Subject: failure notice

Hi. This is the mail program at old.example.org.
I could not deliver your mail, and I have given up.

<maya@example.com>:
203.0.113.9 does not like recipient.
Remote host said: {code}

--- Below this line is a copy of the message.

Return-Path: <{to}>
Subject: 5.9.9 is in the copy

Parcels now carry two labels.
""")


def exim(to: str) -> bytes:
    return flat(f"""
Return-path: <>
Envelope-to: {to}
From: Mail Delivery System <Mailer-Daemon@exim.example.org>
To: {to}
X-Failed-Recipients: maya@example.com
Auto-Submitted: auto-replied
Subject: Mail delivery failed: returning message to sender
Message-Id: <E1x-0001@exim.example.org>

This message was created automatically by mail delivery software.

  maya@example.com
    host mx.example.com [203.0.113.9]
    SMTP error from remote mail server after RCPT TO:<maya@example.com>:
    550 Unknown user
""")


def arf(to: str, kind: str = "abuse") -> bytes:
    return flat(f"""
From: <feedback@provider.example>
To: <abuse@fernhill.example>
Date: Mon, 12 Oct 2026 09:31:00 +0000
Subject: FW: What became of it
Message-ID: <arf1@provider.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="arf"

--arf
Content-Type: text/plain

This is a report about a mail that came from you.

--arf
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeProvider/1.0
Version: 1

--arf
Content-Type: message/rfc822

From: Fernhill Outdoor <care@fernhill.example>
Reply-To: <{to}>
Message-ID: {OUR_ID}
Subject: What became of it

Parcels now carry two labels.
--arf--
""")


def reply(
    to: str,
    text: str = "It still fails.",
    *,
    headers: str = "",
    subject: str = "Re: What became of it",
    message_id: str = "<r1@mail.example.com>",
    quote: str = "On Mon, 12 Oct 2026 at 09:30, Fernhill Outdoor <care@fernhill.example> wrote:\n> Two labels.\n",
    in_reply_to: str = OUR_ID,
) -> bytes:
    return flat(f"""
Return-Path: <maya@example.com>
Date: Mon, 12 Oct 2026 10:00:00 +0000
From: Maya Lind <maya@example.com>
To: Fernhill Outdoor <{to}>
Subject: {subject}
Message-ID: {message_id}
In-Reply-To: {in_reply_to}
{headers}Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{text}

{quote}""")


def gmail(to: str, text: str, *, attachment: bytes = b"", message_id: str = "<CAF=g1@mail.gmail.example>") -> bytes:
    """Plain words and the same as HTML, quoted-printable; with a picture if there is one."""
    page = f'<div dir="ltr">{text}</div><br><div class="gmail_quote"><blockquote>Two labels.</blockquote></div>'
    plain = (
        f"{text}\n\nOn Mon, Oct 12, 2026 at 9:30 AM Fernhill Outdoor <care@fernhill.example>\nwrote:\n\n> Two labels.\n"
    )
    picture = (
        "--m\nContent-Type: image/jpeg; name=parcel.jpg\nContent-Disposition: attachment; filename=parcel.jpg\n"
        "Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(attachment).decode() + "\n"
        if attachment
        else ""
    )
    return flat(f"""
Return-Path: <maya@example.com>
Delivered-To: {to}
Date: Mon, 12 Oct 2026 10:00:00 +0000
From: Maya Lind <maya@example.com>
To: {to}
Subject: Re: What became of it
Message-ID: {message_id}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="m"

--m
Content-Type: multipart/alternative; boundary="a"

--a
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: quoted-printable

{quopri.encodestring(plain.encode()).decode()}
--a
Content-Type: text/html; charset="UTF-8"
Content-Transfer-Encoding: quoted-printable

{quopri.encodestring(page.encode()).decode()}
--a--

{picture}--m--
""")


def nested(depth: int, to: str = "loop@fernhill.example") -> bytes:
    """Parts within parts."""
    head = f"From: a@example.com\nTo: {to}\nMessage-ID: <deep@example.com>\n"
    for number in range(depth):
        head += f'Content-Type: multipart/mixed; boundary="d{number}"\n\n--d{number}\n'
    return (head + "Content-Type: text/plain\n\nWords at the bottom.\n").encode()


def wide(count: int, to: str = "loop@fernhill.example") -> bytes:
    parts = "".join("--w\nContent-Type: text/plain\n\nhello\n" for _ in range(count))
    return f"From: a@example.com\nTo: {to}\nContent-Type: multipart/mixed; boundary=w\n\n{parts}--w--\n".encode()
