"""House rules, each with its reason in the message."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from flask import Flask
from sqlalchemy import Engine

from feedback_loop.accounts.models import Role, Scope
from feedback_loop.db import alembic_config, is_current, make_engine, migrate
from feedback_loop.settings import SettingError, load_config, read_settings

ROOT = Path(__file__).parents[2]
ROUTES = ROOT / "tests" / "rules" / "routes.txt"


def test_every_route_declares_who_may_open_it_and_none_comes_or_goes_unnoticed(app: Flask) -> None:
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        access = getattr(app.view_functions[rule.endpoint], "access", None)
        assert access is not None, f"{rule.rule}: say who may open it, with @public, @staff(Role.…) or @api(Scope.…)"
        who = "api" if isinstance(access, Scope) else access.value if isinstance(access, Role) else access
        needs = f" ({access.value})" if isinstance(access, Scope) else ""
        methods = ",".join(sorted((rule.methods or set()) & {"GET", "POST"}))
        found.append(f"{who:7} {methods:9} {rule.rule}{needs}")
    expected = ROUTES.read_text().splitlines()
    assert sorted(found) == expected, f"Routes have changed: if that is meant, bring {ROUTES.name} up to date."


@pytest.mark.parametrize("module", ["feedback_loop.app", "feedback_loop.reports.mailbox", "feedback_loop.web.server"])
def test_the_web_process_loads_no_model_library(module: str) -> None:
    # With all its views: the worker owns the models, so that a web process stays small and a crash of theirs is not
    # ours.
    code = f"""
import sys, importlib
importlib.import_module({module!r})
for domain in ("accounts", "surveys", "complaints", "actions", "reports", "responses", "responses.api", "followups",
               "notifications"):
    importlib.import_module(f"feedback_loop.{{domain}}.views")
heavy = {{"bertopic", "sklearn", "onnxruntime", "numba", "torch", "pandas", "tokenizers", "umap", "hdbscan"}}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or None)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, f"The web process loaded: {result.stderr.strip()}"


def test_models_and_migrations_agree(engine: Engine) -> None:
    command.check(alembic_config(engine))
    assert is_current(engine)


def test_migrations_run_from_empty_and_may_be_repeated_and_undone(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'new.db'}")
    migrate(engine)
    migrate(engine)
    command.downgrade(alembic_config(engine), "base")
    assert not is_current(engine)
    migrate(engine)
    assert is_current(engine)
    engine.dispose()


def test_statements_of_the_first_release_keep_their_ids_and_these_are_never_given_again(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'old.db'}")
    migrate(engine, "0001")
    moment = "'2026-10-12 09:30:00'"
    with engine.begin() as connection:
        for sql in (
            "INSERT INTO surveys (id, slug, name, question, scale, prompt_low, prompt_high, thanks, state, created_at) "
            f"VALUES (1, 'a', 'A', '', 'text', '', '', '', 'open', {moment})",
            "INSERT INTO answers (id, survey_id, redactions, context, answered_at, received_at, revision, attempts, "
            f"fence) VALUES (1, 1, '[]', '{{}}', {moment}, {moment}, 1, 0, 0)",
            "INSERT INTO statements (id, answer_id, position, role, kind, text, said_at, reason, is_exemplar) "
            f"VALUES (7, 1, 0, 'main', 'problem', 'Wet', {moment}, '', 0)",
        ):
            connection.exec_driver_sql(sql)
    migrate(engine)
    with engine.begin() as connection:
        kept = connection.exec_driver_sql("SELECT id, text, kept_out, survey_id FROM statements").all()
        assert kept == [(7, "Wet", 0, 1)]
        connection.exec_driver_sql("DELETE FROM statements")
        connection.exec_driver_sql(
            "INSERT INTO statements (answer_id, position, role, kind, text, said_at, reason, is_exemplar, kept_out) "
            f"VALUES (1, 0, 'main', 'problem', 'Late', {moment}, '', 0, 0)"
        )
        assert connection.exec_driver_sql("SELECT id FROM statements").scalar() == 8
        for table, law in (("statements", "ck_statements_main_is_first"), ("complaints", "merged_says_into_what")):
            made = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{table}'").scalar() or ""
            assert "AUTOINCREMENT" in made, f"{table} would give ids again"
            assert law in made, f"{table} has lost its CHECKs"
    engine.dispose()


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    missing = [name for name in load_config().SETTINGS if f"`{name}`" not in text]
    assert not missing, f"docs/operating.md does not mention: {', '.join(missing)}"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HOLD_MINUTES", "soon", "HOLD_MINUTES is 'soon'; give a whole number"),
        ("PRIORITY_THRESHOLDS", "5 80 20", "give three whole numbers, each above the last"),
        ("DIGEST_HOUR", "24", "from 0 to 23"),
        ("SMTP_PORT", "0", "from 1 to 65535"),
        ("SMTP_SECURITY", "ssl", "give one of none, starttls, tls"),
        ("PUBLIC_URL", "feedback.example.com", "give an address such as https://"),
        ("MAIL_FROM", "nobody", "give a sender such as"),
        ("DATABASE_URL", "mysql://x", "must begin with sqlite:/// or postgresql://"),
        ("PHONE_REGION", "GBR", "two-letter country code"),
    ],
)
def test_a_bad_setting_says_what_would_do(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(SettingError, match=message.replace("/", ".")):
        read_settings({"DATA_FOLDER": str(tmp_path), name: value})


def test_the_secret_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = read_settings({"DATA_FOLDER": str(tmp_path)}).secret_key
    assert len(first) > 40
    assert read_settings({"DATA_FOLDER": str(tmp_path)}).secret_key == first
    assert (tmp_path / "secret-key").stat().st_mode & 0o077 == 0


def test_lock_files_hold_no_address() -> None:
    folders = [each for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith(".")]
    ours = [*ROOT.glob("*.lock"), *(lock for folder in folders for lock in folder.rglob("*.lock"))]
    names = {str(path.relative_to(ROOT)) for path in ours}
    assert {"requirements.lock", "requirements-multilingual.lock", "bench/peer.lock"} <= names
    for path in ours:
        assert "://" not in path.read_text(), f"{path.name} must hold names, versions and hashes only"
        if path.name.startswith("requirements"):
            assert "torch" not in path.read_text(), f"{path.name}: torch is not part of the default installation"


def test_vendored_files_are_the_ones_that_were_checked() -> None:
    import hashlib

    folder = ROOT / "feedback_loop" / "static" / "vendor"
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, f"{name} has been changed"


def test_the_readme_names_the_command_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()
    assert "\nmake test\n" in ci


def test_the_widget_stays_small_and_keeps_to_itself() -> None:
    script = (ROOT / "feedback_loop" / "static" / "widget.js").read_bytes()
    size = len(gzip.compress(script))
    assert size <= 8 * 1024, f"widget.js is {size:,} bytes packed; every page of a company loads it, so at most 8,192"
    for word in (b"cookie", b"Storage", b"innerHTML", b"eval(", b'setAttribute("style', b"fetch("):
        code = b"\n".join(line for line in script.splitlines() if not line.lstrip().startswith(b"//"))
        assert word not in code, f"widget.js may not use {word.decode()}: it works on pages of others"
