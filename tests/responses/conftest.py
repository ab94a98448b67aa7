"""A program with an API key, for tests of the API."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import Make


class Program:
    """Another system that has a key."""

    def __init__(self, client: FlaskClient, secret: str) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {secret}"}

    def send(self, path: str, *items: Any, name: str = "", **headers: str) -> TestResponse:
        """Send items; under a name, so that they are taken once."""
        more = {"Idempotency-Key": name} if name else {}
        return self.client.post(f"/api/v1/{path}", json={"items": items}, headers={**self.headers, **more, **headers})

    def get(self, path: str, **asked: Any) -> TestResponse:
        return self.client.get(f"/api/v1/{path}", query_string=asked, headers=self.headers)

    def post(self, path: str, data: bytes | str, **headers: str) -> TestResponse:
        """Send a body as it is."""
        kind = {"Content-Type": "application/json"}
        return self.client.post(f"/api/v1/{path}", data=data, headers={**kind, **self.headers, **headers})


@pytest.fixture
def program(client: FlaskClient, make: Make) -> Program:
    """A program that may do everything."""
    _, secret = make.api_key()
    make.session.commit()
    return Program(client, secret)
