"""Typed settings, read once from the environment by a composition root and passed on as a value."""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PACKAGE = Path(__file__).parent


class SettingError(ValueError):
    """A setting has a value that cannot be used; the message says which and what would do."""


def resource(name: str) -> Path:
    """Find `config.py`, `migrations` or `templates`: inside the package when installed from a wheel, else beside it.

    Args:
        name: File or folder name.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    for folder in (PACKAGE, PACKAGE.parent):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} is missing from this installation of feedback-loop; install it again.")


def load_config() -> ModuleType:
    """Load the module of defaults, whatever other `config` module the path may hold."""
    spec = importlib.util.spec_from_file_location("feedback_loop_config", resource("config.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Settings:
    """All settings of one process. Meanings: `config.py`."""

    data_folder: Path
    database_url: str
    secret_key: str
    public_url: str
    bind: str
    web_processes: int
    web_threads: int
    company_name: str
    mail_transport: str
    mail_from: str
    smtp_host: str
    smtp_port: int
    smtp_user: str
    smtp_password: str
    smtp_security: str
    smtp_timeout: int
    default_time_zone: str
    contact_limit: int
    contact_days: int
    embedding_model: str
    comment_limit: int
    raw_text_days: int
    phone_region: str
    refine_minutes: int
    follow_up_days: int
    hold_minutes: int

    @property
    def mailbox_folder(self) -> Path:
        """Where the demo's mails are written."""
        return self.data_folder / "mailbox"

    @property
    def secure(self) -> bool:
        """Whether people reach the site over https, so that cookies may insist on it."""
        return self.public_url.startswith("https://")


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from an environment.

    Args:
        environ: Names and values; the process's own environment by default.

    Raises:
        SettingError: A value cannot be used. The message names the setting and says what would do.
    """
    environ = os.environ if environ is None else environ
    defaults = {name: default for name, (default, _) in load_config().SETTINGS.items()}
    value = {name: environ.get(name, "").strip() or default for name, default in defaults.items()}

    def number(name: str, low: int, high: int) -> int:
        try:
            result = int(value[name])
        except ValueError:
            raise SettingError(f"{name} is {value[name]!r}; give a whole number from {low} to {high}.") from None
        if not low <= result <= high:
            raise SettingError(f"{name} is {result}; give a whole number from {low} to {high}.")
        return result

    def choice(name: str, *allowed: str) -> str:
        if value[name] not in allowed:
            raise SettingError(f"{name} is {value[name]!r}; give one of {', '.join(allowed)}.")
        return value[name]

    public_url = value["PUBLIC_URL"].rstrip("/")
    parts = urlsplit(public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingError(f"PUBLIC_URL is {public_url!r}; give an address such as https://feedback.example.com.")
    if "@" not in parseaddr(value["MAIL_FROM"])[1]:
        raise SettingError(
            f"MAIL_FROM is {value['MAIL_FROM']!r}; give a sender such as Example <feedback@example.com>."
        )
    region = value["PHONE_REGION"].upper()
    if region and not (len(region) == 2 and region.isalpha()):
        raise SettingError(f"PHONE_REGION is {region!r}; give a two-letter country code such as GB, or leave it empty.")

    try:
        ZoneInfo(value["DEFAULT_TIME_ZONE"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingError(
            f"DEFAULT_TIME_ZONE is {value['DEFAULT_TIME_ZONE']!r}; give a time zone such as Europe/Berlin."
        ) from None

    data_folder = Path(value["DATA_FOLDER"]).expanduser().resolve()
    return Settings(
        data_folder=data_folder,
        database_url=database_url(value["DATABASE_URL"], data_folder),
        secret_key=value["SECRET_KEY"] or stored_secret(data_folder),
        public_url=public_url,
        bind=value["BIND"],
        web_processes=number("WEB_PROCESSES", 1, 64),
        web_threads=number("WEB_THREADS", 1, 256),
        company_name=value["COMPANY_NAME"],
        mail_transport=choice("MAIL_TRANSPORT", "smtp", "mailbox"),
        mail_from=value["MAIL_FROM"],
        smtp_host=value["SMTP_HOST"],
        smtp_port=number("SMTP_PORT", 1, 65535),
        smtp_user=value["SMTP_USER"],
        smtp_password=value["SMTP_PASSWORD"],
        smtp_security=choice("SMTP_SECURITY", "none", "starttls", "tls"),
        smtp_timeout=number("SMTP_TIMEOUT", 1, 600),
        default_time_zone=value["DEFAULT_TIME_ZONE"],
        contact_limit=number("CONTACT_LIMIT", 0, 1000),
        contact_days=number("CONTACT_DAYS", 1, 365),
        embedding_model=value["EMBEDDING_MODEL"],
        comment_limit=number("COMMENT_LIMIT", 100, 100_000),
        raw_text_days=number("RAW_TEXT_DAYS", 0, 3650),
        phone_region=region,
        refine_minutes=number("REFINE_MINUTES", 1, 10_080),
        follow_up_days=number("FOLLOW_UP_DAYS", 1, 365),
        hold_minutes=number("HOLD_MINUTES", 0, 10_080),
    )


def database_url(given: str, data_folder: Path) -> str:
    """Turn what people write as a database address into what SQLAlchemy needs.

    Raises:
        SettingError: Neither SQLite nor PostgreSQL.
    """
    if not given:
        return f"sqlite:///{data_folder / 'feedback-loop.db'}"
    scheme, _, rest = given.partition("://")
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite":
        return given
    raise SettingError("DATABASE_URL must begin with sqlite:/// or postgresql://.")


def stored_secret(data_folder: Path) -> str:
    """Read the secret key of this installation, making it on first use.

    Two processes starting at once agree on one key: the file appears whole or not at all, and the first one wins.
    """
    path = data_folder / "secret-key"
    if not path.exists():
        data_folder.mkdir(parents=True, exist_ok=True)
        draft = data_folder / f".secret-key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
