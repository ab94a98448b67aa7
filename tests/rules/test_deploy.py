"""What `deploy/` promises is what the program takes: settings, commands, options, pages."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from feedback_loop.cli import main
from feedback_loop.jobs.bell import Queue
from feedback_loop.settings import load_config

DEPLOY = Path(__file__).parents[2] / "deploy"
SETTINGS = set(load_config().SETTINGS)
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
OWN = {"POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "PUBLIC_PORT"}  # of compose and of the database
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "UMask": "0027",
    "User": "feedback-loop",
}


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def unit(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return {name: dict(parser[name]) for name in parser.sections()}


def check(arguments: list[str]) -> None:
    """Fail unless the command line takes these arguments."""
    name, *rest = arguments
    assert name in main.commands, f"deploy/ calls feedback-loop {name}, which does not exist"
    main.commands[name].make_context(name, rest)


SERVICES = {name: each for name, each in compose()["services"].items() if each.get("image") == "feedback-loop"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_services_call_what_there_is_with_settings_that_there_are(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("environment", {})) <= SETTINGS
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    check(service["command"])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_call_what_there_is_and_are_hardened(path: Path) -> None:
    service = unit(path)["Service"]
    assert HARDENED.items() <= service.items()
    assert service["MemoryMax"]
    assert "/var/lib/feedback-loop" in service["ReadWritePaths"].split()
    if service.get("Type") != "oneshot":
        assert service["Restart"] == "always"
    assert {each.partition("=")[0] for each in service.get("Environment", "").split()} <= SETTINGS
    program, *arguments = service["ExecStart"].split()
    assert program.endswith("/feedback-loop")
    check(arguments)


def test_each_queue_has_a_worker() -> None:
    for commands in (
        [each["command"] for each in SERVICES.values()],
        [unit(path)["Service"]["ExecStart"].split()[1:] for path in UNITS],
    ):
        workers = [each for each in commands if each[0] == "worker"]
        assert {each[place + 1] for each in workers for place, part in enumerate(each) if part == "--queue"} == set(
            Queue
        )


def test_the_target_starts_units_that_there_are() -> None:
    wanted = re.findall(
        r"feedback-loop[\w@.-]+\.(?:service|timer)", (DEPLOY / "systemd/feedback-loop.target").read_text()
    )
    assert len(wanted) == 5
    for each in wanted:
        assert (DEPLOY / "systemd" / re.sub(r"@\d+", "@", each)).exists()


def test_the_example_of_an_environment_names_settings() -> None:
    names = re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE)
    assert names
    assert set(names) <= SETTINGS | OWN


def test_everything_that_compose_fills_in_is_explained() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text()))
    assert used <= OWN
    assert "POSTGRES_PASSWORD" in used


def test_the_image_holds_what_the_program_needs_and_looks_at_a_page_that_there_is(app: Flask) -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert "--require-hashes" in text
    assert re.search(r"^USER feedback-loop$", text, re.MULTILINE)
    for name in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE):
        assert (DEPLOY.parent / name).exists(), name
        assert f"!{name}" in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    environment = dict(re.findall(r"([A-Z_]+)=(\S+)", re.findall(r"^ENV (.*)$", text, re.MULTILINE)[0]))
    assert set(environment) - {"PYTHONPATH", "PYTHONUNBUFFERED"} <= SETTINGS
    port = environment["BIND"].rpartition(":")[2]
    path = re.findall(rf"http://127\.0\.0\.1:{port}(/\S*?)'", text)[0]
    assert app.test_client().get(path).status_code == 200


CLIENT = {"bookworm": 15, "trixie": 17}  # version of postgresql-client in Debian


def test_the_image_can_back_up_the_database_beside_it() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    base = re.findall(r"^FROM python:\S+-slim-(\w+)$", text, re.MULTILINE)[-1]
    assert re.search(r"apt-get install .*\bpostgresql-client\b", text)
    server = re.fullmatch(r"postgres:(\d+)-\w+", compose()["services"]["database"]["image"])
    assert server
    assert int(server[1]) <= CLIENT[base], "pg_dump refuses servers that are newer than itself"


def test_the_first_init_is_the_one_that_names_the_admin() -> None:
    head = (DEPLOY / "compose.yaml").read_text().partition("name:")[0]
    assert head.index("init --admin-email") < head.index(" up -d"), "`up` runs init, which makes an admin of its own"


def test_the_proxy_tells_web_servers_who_came_and_keeps_figures_inside(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx/feedback-loop.conf").read_text()
    assert "X-Forwarded-For $remote_addr" in text
    assert re.search(r"location = /metrics \{\s*return 404;", text)
    ports = set(re.findall(r"127\.0\.0\.1:(\d+)", (DEPLOY / "nginx/upstream-systemd.conf").read_text()))
    assert ports == set(re.findall(r"web@(\d+)", (DEPLOY / "systemd/feedback-loop.target").read_text()))
    hosts = re.findall(r"server ([\w-]+):8000", (DEPLOY / "nginx/upstream-compose.conf").read_text())
    assert set(hosts) <= set(compose()["services"])
    if nginx := shutil.which("nginx"):
        (tmp_path / "nginx.conf").write_text(nginx_conf(tmp_path, 22080, (22001, 22002)))
        result = subprocess.run(
            [nginx, "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr


def nginx_conf(folder: Path, port: int, web: tuple[int, int]) -> str:
    """A whole configuration of nginx around ours, that writes only into a folder."""
    site = (DEPLOY / "nginx/feedback-loop.conf").read_text()
    upstream = (DEPLOY / "nginx/upstream-systemd.conf").read_text()
    for old, new in zip(("8001", "8002"), web, strict=True):
        upstream = upstream.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    (folder / "upstream.conf").write_text(upstream)
    site = site.replace("/etc/nginx/feedback-loop-upstream.conf", str(folder / "upstream.conf"))
    site = site.replace("/var/cache/nginx/feedback-loop", str(folder / "cache")).replace(
        "listen 8080;", f"listen 127.0.0.1:{port};"
    )
    paths = "\n".join(
        f"{name}_temp_path {folder / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"pid {folder / 'nginx.pid'};\nerror_log {folder / 'error.log'};\nevents {{}}\n"
        f"http {{\ninclude /etc/nginx/mime.types;\naccess_log {folder / 'access.log'};\n{paths}\n{site}\n}}\n"
    )
