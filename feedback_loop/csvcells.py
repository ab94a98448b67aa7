"""Cells of CSV files that we write, made safe for spreadsheets."""

from __future__ import annotations

from datetime import datetime

# What a spreadsheet would take for a formula (OWASP, CSV injection).
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def safe(value: object) -> object:
    """A cell that no spreadsheet runs: text that looks like a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return "" if value is None else value
