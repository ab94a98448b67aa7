"""The address a mail comes back to names the mail, and nobody else can write one."""

from __future__ import annotations

import dataclasses

import pytest

from feedback_loop.notifications import envelope
from feedback_loop.settings import SettingError, Settings, read_settings


@pytest.fixture
def settings() -> Settings:
    return read_settings({"SECRET_KEY": "a key for tests only", "INBOUND_ADDRESS": "loop@Mail.example.com"})


@pytest.mark.parametrize("number", [1, 987_654_321_012_345])
def test_a_mail_is_known_by_the_address_it_comes_back_to(settings: Settings, number: int) -> None:
    address = envelope.sender(settings, number)
    assert envelope.read(settings, address) == number
    assert envelope.read(settings, f" {address.upper()}") == number
    assert len(address.partition("@")[0]) < 64


@pytest.mark.parametrize(
    "change",
    [
        lambda address: address.replace("+7.", "+8."),
        lambda address: address.replace("loop+", "other+"),
        lambda address: address.replace("example.com", "example.org"),
        lambda address: address[:-1],
        lambda _: "loop@mail.example.com",
        lambda _: "loop+٧.0000000000000000@mail.example.com",
        lambda _: "",
    ],
    ids=lambda _: "",
)
def test_an_address_we_did_not_write_is_nobodys(settings: Settings, change) -> None:  # type: ignore[no-untyped-def]
    assert envelope.read(settings, change(envelope.sender(settings, 7))) is None


def test_another_installation_reads_nothing_in_it(settings: Settings) -> None:
    other = dataclasses.replace(settings, secret_key="another key")
    assert envelope.read(other, envelope.sender(settings, 7)) is None


def test_without_a_mailbox_it_is_the_sender_of_every_mail() -> None:
    settings = read_settings({"SECRET_KEY": "k", "MAIL_FROM": "Fernhill <hello@example.com>"})
    assert envelope.sender(settings, 7) == "hello@example.com"
    assert envelope.read(settings, "hello@example.com") is None


@pytest.mark.parametrize("bad", ["loop", "a+b@example.com", "x" * 21 + "@example.com", "a b@example.com"])
def test_a_mailbox_that_would_not_work_is_refused(bad: str) -> None:
    with pytest.raises(SettingError, match="INBOUND_ADDRESS"):
        read_settings({"SECRET_KEY": "k", "INBOUND_ADDRESS": bad})
