"""Typed settings, read once from the environment by a composition root and passed on as a value."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import os
import re
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
    backup_folder: Path
    database_url: str
    secret_key: str
    public_url: str
    bind: str
    trusted_proxies: int
    rate_limit_storage: str
    answers_per_minute: int
    api_requests_per_minute: int
    engine: str
    embedding_threads: int
    analysis_memory_mb: int
    web_processes: int
    web_threads: int
    company_name: str
    mail_transport: str
    mail_from: str
    inbound_address: str
    imap_host: str
    imap_port: int
    imap_user: str
    imap_password: str
    imap_security: str
    imap_folder: str
    smtp_host: str
    smtp_port: int
    smtp_user: str
    smtp_password: str
    smtp_security: str
    smtp_timeout: int
    smtp_connections: int
    mails_per_domain: int
    idempotency_header: str
    default_time_zone: str
    contact_limit: int
    contact_days: int
    closings_in_budget: bool
    approval_above: int
    embedding_model: str
    comment_limit: int
    raw_text_days: int
    phone_region: str
    refine_minutes: int
    follow_up_after_days: int
    follow_up_days: int
    priority_thresholds: tuple[int, ...]
    digest_hour: int
    hold_minutes: int
    log_format: str
    log_level: str
    metrics_token: str
    outbound_allow: tuple[str, ...]

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

    def thresholds(name: str) -> tuple[int, ...]:
        parts = value[name].replace(",", " ").split()
        found = tuple(int(part) for part in parts if part.isdecimal() and len(part) < 8)
        if not len(found) == len(parts) == 3 or not 0 < found[0] < found[1] < found[2]:
            raise SettingError(f"{name} is {value[name]!r}; give three whole numbers, each above the last, as 5 20 80.")
        return found

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
    inbound = value["INBOUND_ADDRESS"].strip()
    if inbound and not re.fullmatch(r"[^@\s+<>\"]{1,20}@[^@\s<>\"]+", inbound):
        raise SettingError(
            f"INBOUND_ADDRESS is {inbound!r}; give a plain address without + and with at most 20 characters before "
            "the @, such as loop@example.com, or leave it empty."
        )
    imap_security = choice("INBOUND_IMAP_SECURITY", "tls", "starttls", "none")
    value["INBOUND_IMAP_PORT"] = value["INBOUND_IMAP_PORT"] or ("993" if imap_security == "tls" else "143")
    imap_user = value["INBOUND_IMAP_USER"] or inbound
    if value["INBOUND_IMAP_HOST"] and not (imap_user and value["INBOUND_IMAP_PASSWORD"]):
        raise SettingError(
            "INBOUND_IMAP_HOST is set; give INBOUND_IMAP_USER (or INBOUND_ADDRESS) and INBOUND_IMAP_PASSWORD as well."
        )
    if value["METRICS_TOKEN"] and not re.fullmatch(r"[!-~]{16,200}", value["METRICS_TOKEN"]):
        raise SettingError(
            "METRICS_TOKEN cannot be used; give 16 to 200 letters, digits and signs without spaces, or leave it empty."
        )
    idempotency_header = value["IDEMPOTENCY_HEADER"]
    if idempotency_header and not re.fullmatch(r"[A-Za-z0-9-]{1,60}", idempotency_header):
        raise SettingError(
            f"IDEMPOTENCY_HEADER is {idempotency_header!r}; give the name of a header, letters, digits and hyphens, "
            "such as Resend-Idempotency-Key, or leave it empty."
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

    if not value["TRUSTED_PROXIES"]:
        value["TRUSTED_PROXIES"] = "1" if parts.scheme == "https" else "0"
    data_folder = Path(value["DATA_FOLDER"]).expanduser().resolve()
    database = database_url(value["DATABASE_URL"], data_folder)
    return Settings(
        data_folder=data_folder,
        backup_folder=Path(value["BACKUP_FOLDER"]).expanduser().resolve()
        if value["BACKUP_FOLDER"]
        else data_folder / "backups",
        database_url=database,
        secret_key=value["SECRET_KEY"] or stored_secret(data_folder),
        public_url=public_url,
        bind=value["BIND"],
        trusted_proxies=number("TRUSTED_PROXIES", 0, 10),
        rate_limit_storage=limit_storage(value["RATE_LIMIT_STORAGE"], database),
        answers_per_minute=number("ANSWERS_PER_MINUTE", 1, 100_000),
        api_requests_per_minute=number("API_REQUESTS_PER_MINUTE", 1, 1_000_000),
        engine=choice("ENGINE", "auto", "clock"),
        embedding_threads=number("EMBEDDING_THREADS", 1, 64),
        analysis_memory_mb=number("ANALYSIS_MEMORY_MB", 0, 1_000_000),
        web_processes=number("WEB_PROCESSES", 1, 64),
        web_threads=number("WEB_THREADS", 1, 256),
        company_name=value["COMPANY_NAME"],
        mail_transport=choice("MAIL_TRANSPORT", "smtp", "mailbox"),
        mail_from=value["MAIL_FROM"],
        inbound_address=inbound,
        imap_host=value["INBOUND_IMAP_HOST"],
        imap_port=number("INBOUND_IMAP_PORT", 1, 65535),
        imap_user=imap_user,
        imap_password=value["INBOUND_IMAP_PASSWORD"],
        imap_security=imap_security,
        imap_folder=value["INBOUND_IMAP_FOLDER"],
        smtp_host=value["SMTP_HOST"],
        smtp_port=number("SMTP_PORT", 1, 65535),
        smtp_user=value["SMTP_USER"],
        smtp_password=value["SMTP_PASSWORD"],
        smtp_security=choice("SMTP_SECURITY", "none", "starttls", "tls"),
        smtp_timeout=number("SMTP_TIMEOUT", 1, 600),
        smtp_connections=number("SMTP_CONNECTIONS", 1, 32),
        mails_per_domain=number("MAILS_PER_DOMAIN", 0, 32),
        idempotency_header=idempotency_header,
        default_time_zone=value["DEFAULT_TIME_ZONE"],
        contact_limit=number("CONTACT_LIMIT", 0, 1000),
        contact_days=number("CONTACT_DAYS", 1, 365),
        closings_in_budget=choice("CLOSINGS_IN_BUDGET", "no", "yes") == "yes",
        approval_above=number("APPROVAL_ABOVE", 0, 1_000_000_000),
        embedding_model=value["EMBEDDING_MODEL"],
        comment_limit=number("COMMENT_LIMIT", 100, 100_000),
        raw_text_days=number("RAW_TEXT_DAYS", 0, 3650),
        phone_region=region,
        refine_minutes=number("REFINE_MINUTES", 1, 10_080),
        follow_up_after_days=number("FOLLOW_UP_AFTER_DAYS", 0, 365),
        follow_up_days=number("FOLLOW_UP_DAYS", 1, 365),
        priority_thresholds=thresholds("PRIORITY_THRESHOLDS"),
        digest_hour=number("DIGEST_HOUR", 0, 23),
        hold_minutes=number("HOLD_MINUTES", 0, 10_080),
        log_format=choice("LOG_FORMAT", "auto", "console", "json"),
        log_level=choice("LOG_LEVEL", "debug", "info", "warning", "error"),
        metrics_token=value["METRICS_TOKEN"],
        outbound_allow=allowed_targets(value["OUTBOUND_ALLOW"]),
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


def allowed_targets(given: str) -> tuple[str, ...]:
    """What requests to the outside may reach beside the open internet; entries apart by commas or spaces.

    Raises:
        SettingError: An entry is neither `host:port` nor a network.
    """
    targets = tuple(given.replace(",", " ").split())
    for each in targets:
        host, _, port = each.rpartition(":")
        is_host = "/" not in each and host and port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535
        try:
            is_target = bool(is_host or ("/" in each and ipaddress.ip_network(each)))
        except ValueError:
            is_target = False
        if not is_target:
            raise SettingError(
                f"OUTBOUND_ALLOW has {each!r}; give hosts with a port such as git.example.internal:443, or networks "
                "such as 10.20.0.0/16, apart by commas."
            )
    return targets


def limit_storage(given: str, database: str) -> str:
    """Where rate limits are counted: where all web processes look.

    Raises:
        SettingError: It cannot be used, or needs a package that is not there.
    """
    if not given:
        return database if database.startswith("postgresql") else "memory://"
    scheme = given.partition("://")[0]
    if given not in ("off", "memory://") and scheme not in ("redis", "rediss", "redis+unix"):
        raise SettingError("RATE_LIMIT_STORAGE must be memory://, off, or begin with redis:// or rediss://.")
    if scheme.startswith("redis") and importlib.util.find_spec("redis") is None:
        raise SettingError(
            "RATE_LIMIT_STORAGE names Redis; install its client first: pip install 'feedback-loop[redis]'."
        )
    return given


def stored_secret(data_folder: Path) -> str:
    """Read the secret key of this installation, making it on first use.

    Two processes starting at once agree on one key: the file appears whole or not at all, and the first one wins.

    Raises:
        SettingError: It cannot be read or made.
    """
    path = data_folder / "secret-key"
    try:
        if not path.exists():
            make_secret(path)
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"The secret key cannot be read from {path}: {error}. Run this as the user that feedback-loop runs as, or "
            "set DATA_FOLDER to the folder that is meant."
        ) from None
    if not key:
        raise SettingError(f"{path} is empty. Put the key back that was there; a new one opens nothing that is stored.")
    return key


def make_secret(path: Path) -> None:
    """Draw a key and write it to a file, which is on the disk before anything is stored under it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".secret-key.{os.getpid()}")
    draft.touch(mode=0o600)
    try:
        with draft.open("w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink()
