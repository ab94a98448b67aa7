"""What customers typed, before redaction, is read in `responses/` only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READER = ROOT / "feedback_loop" / "responses"
WHY = "raw texts are read in feedback_loop/responses only, where the right to it is checked and each reading is logged"


def readings_in(tree: ast.AST) -> Iterator[str]:
    """Where a module could get at raw texts. Writing them is free: `seal`, and `insert(RawComment)`."""
    inserted = {
        argument
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "insert"
        for argument in call.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {each.name}" for each in node.names if each.name == "feedback_loop.responses.raw")
        elif isinstance(node, ast.ImportFrom) and node.module == "feedback_loop.responses.raw":
            yield from (f"imports {each.name}" for each in node.names if each.name not in ("seal", "RawTextUnreadable"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("feedback_loop.responses"):
            yield from (f"imports {each.name}" for each in node.names if each.name in ("raw", "unseal", "read_raw"))
            yield from (f"renames {each.name}" for each in node.names if each.name == "RawComment" and each.asname)
        elif isinstance(node, ast.Name) and node.id == "RawComment" and node not in inserted:
            yield "uses RawComment other than to insert"
        elif isinstance(node, ast.Attribute) and node.attr in ("RawComment", "sealed", "unseal", "read_raw"):
            yield f".{node.attr}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "raw_comments" in node.value:
            yield "names the table raw_comments"


def test_only_responses_reads_raw_texts() -> None:
    modules = [*(ROOT / "feedback_loop").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    assert len(modules) > 50
    found = [
        f"{path.relative_to(ROOT)}: {reading}"
        for path in modules
        if READER not in path.parents
        for reading in readings_in(ast.parse(path.read_text()))
    ]
    assert found == [], WHY


@pytest.mark.parametrize(
    "code",
    [
        "from feedback_loop.responses.raw import unseal",
        "from feedback_loop.responses import raw",
        "import feedback_loop.responses.raw",
        "from feedback_loop.responses.service import read_raw",
        "from feedback_loop.responses.models import RawComment as Row",
        "session.scalars(select(RawComment))",
        "session.get(models.RawComment, 1)",
        "row.sealed",
        "text('SELECT sealed FROM raw_comments')",
    ],
)
def test_the_rule_sees_every_way_of_reading(code: str) -> None:
    assert list(readings_in(ast.parse(code))), WHY


def test_the_rule_lets_texts_be_sealed_and_stored() -> None:
    code = "from feedback_loop.responses.raw import seal\nsession.execute(insert(RawComment), [{'sealed': seal(text)}])"
    assert list(readings_in(ast.parse(code))) == []
