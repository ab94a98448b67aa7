"""Alembic's entry: brings an open engine's schema to a revision, in one transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Engine

import feedback_loop.store.tables  # noqa: F401  (reaches every table)
from feedback_loop.db import Base, make_engine
from feedback_loop.settings import read_settings


def run() -> None:
    engine: Engine | None = context.config.attributes.get("engine")
    if engine is None:  # called as `alembic …` by a developer
        engine = make_engine(read_settings().database_url)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=True,
            # Alembic takes SQLite's DDL for one that commits at once, and would commit after each revision. Ours does
            # not (feedback_loop/db.py begins by itself), so an upgrade is whole or not there on both databases.
            transactional_ddl=True,
            user_module_prefix="db.",
        )
        with context.begin_transaction():
            context.run_migrations()


run()
