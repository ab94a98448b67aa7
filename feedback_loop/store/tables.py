"""All tables together, and what revision a database is at."""

from __future__ import annotations

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Table, func, inspect, select

# Reach every table, whatever else a command has loaded. Migrations use this list, too.
import feedback_loop.actions.closing.models
import feedback_loop.actions.routing.models
import feedback_loop.followups.models
import feedback_loop.inbound.models
import feedback_loop.integrations.models
import feedback_loop.jobs.models
import feedback_loop.privacy.models
import feedback_loop.responses.mailings.models
import feedback_loop.watching.models
import feedback_loop.web.limitcounts  # noqa: F401
from feedback_loop.db import Base, alembic_config

# What is counted anew by itself and changes while nobody works.
FLEETING = frozenset({"limit_counts"})


def tables() -> list[Table]:
    """Every table, those first that others refer to."""
    return list(Base.metadata.sorted_tables)


def counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has that is there, by name; of a schema of whatever revision."""
    there = set(inspect(connection).get_table_names())
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in tables()
        if table.name in there
    }


def revision(connection: Connection) -> str:
    """The revision of the schema; empty where there is none."""
    return ",".join(sorted(MigrationContext.configure(connection).get_current_heads()))


def head(engine: Engine) -> str:
    """The revision this version of the program needs."""
    return ",".join(sorted(ScriptDirectory.from_config(alembic_config(engine)).get_heads()))


def is_known(engine: Engine, found: str) -> bool:
    """Whether this version of the program knows a revision; otherwise a newer one made it."""
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config(engine)).walk_revisions()}
    return set(found.split(",")) <= known
