"""`feedback-loop mail test`: each step, and what to do when one fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feedback_loop.cli import main
from tests.smtp import Sink, running


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


def run(folder: Path, port: int, **settings: str) -> Result:
    environ = {
        "DATA_FOLDER": str(folder), "SECRET_KEY": "k", "SMTP_PORT": str(port), "SMTP_TIMEOUT": "2",
        "MAIL_FROM": "Fernhill <care@fernhill.example>", "DATABASE_URL": "", **settings,
    }  # fmt: skip
    return CliRunner().invoke(main, ["mail", "test", "ada@example.com"], env=environ)


def test_each_step_is_printed_and_the_mail_arrives(tmp_path: Path, sink: Sink) -> None:
    result = run(tmp_path, sink.port)
    assert result.exit_code == 0, result.output
    steps = [line.partition(":")[0] for line in result.output.splitlines()]
    assert steps[:5] == ["Connected", "Not encrypted", "Sender", "Recipient", "Handed over"]
    assert sink.envelopes == [("care@fernhill.example", "ada@example.com")]
    assert not list(tmp_path.glob("*.db"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_not_there_ends_with_what_to_look_at(tmp_path: Path) -> None:
    result = run(tmp_path, free_port())
    assert result.exit_code == 1
    assert "Look at SMTP_HOST and SMTP_PORT" in result.output


@pytest.mark.parametrize(
    ("settings", "refusals", "advice"),
    [
        ({"SMTP_SECURITY": "starttls"}, {}, "look at SMTP_SECURITY"),
        ({"SMTP_SECURITY": "tls"}, {}, "Set SMTP_SECURITY to starttls"),
        ({"SMTP_USER": "us"}, {}, "leave SMTP_USER empty"),
        ({}, {"refuse_sender": "550 5.7.1 no"}, "Look at MAIL_FROM."),
        ({}, {"refuse": {"ada@example.com": "550 5.1.1 who?"}}, "Look at the address."),
        ({}, {"refuse": {"ada@example.com": "451 4.7.1 later"}}, "try again in some minutes"),
        ({}, {"refuse_data": "550 5.7.26 unauthenticated"}, "SPF, DKIM and DMARC"),
        ({}, {"break_at": "RCPT"}, "ask whoever runs the mail server"),
        ({}, {"break_at": "DATA"}, "Look whether the mail arrived"),
    ],
)
def test_each_failure_says_what_to_do(
    tmp_path: Path, sink: Sink, settings: dict[str, str], refusals: dict[str, object], advice: str
) -> None:
    for name, value in refusals.items():
        setattr(sink, name, value)
    result = run(tmp_path, sink.port, **settings)
    assert result.exit_code == 1, result.output
    assert advice in result.output


def test_the_demo_says_where_its_mail_lies(tmp_path: Path) -> None:
    result = run(tmp_path, 9, MAIL_TRANSPORT="mailbox")
    assert result.exit_code == 0
    assert "no mail leaves this machine" in result.output
    assert len(list((tmp_path / "mailbox").glob("*.eml"))) == 1
