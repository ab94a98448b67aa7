"""Vectors as the database keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.analysis.sameness import normalised
from feedback_loop.complaints.models import Vector
from feedback_loop.db import insert_missing

CHUNK = 500


def hash_text(text: str) -> str:
    """The same for texts that are the same statement (`analysis.sameness`); SHA-256 in hex."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()


def pack(vector: NDArray[np.float32]) -> bytes:
    """Store a unit vector as little-endian float16: half the room, and cosines stay right to three digits."""
    return vector.astype("<f2").tobytes()


def unpack(data: Sequence[bytes], dimensions: int) -> NDArray[np.float32]:
    """Stored vectors as one matrix.

    Args:
        data: n stored vectors.
        dimensions: Length of each.

    Returns:
        Shape (n, dimensions), unit rows.
    """
    if not data:
        return np.zeros((0, dimensions), dtype=np.float32)
    matrix = np.frombuffer(b"".join(data), dtype="<f2").reshape(len(data), dimensions).astype(np.float32)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: NDArray[np.float32] = matrix / np.maximum(norms, 1e-6)
    return unit


def known(session: Session, hashes: Iterable[str], model: str) -> dict[str, tuple[int, bytes]]:
    """Stored vectors of some texts by their hash: id and data."""
    wanted = sorted(set(hashes))
    found: dict[str, tuple[int, bytes]] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = session.execute(
            select(Vector.text_hash, Vector.id, Vector.data).where(
                Vector.text_hash.in_(wanted[start : start + CHUNK]), Vector.model == model
            )
        )
        found.update((row.text_hash, (row.id, row.data)) for row in rows)
    return found


def ids(session: Session, hashes: Iterable[str], model: str) -> dict[str, int]:
    """The ids of stored vectors by the hash of their text."""
    wanted = sorted(set(hashes))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = session.execute(
            select(Vector.text_hash, Vector.id).where(
                Vector.text_hash.in_(wanted[start : start + CHUNK]), Vector.model == model
            )
        )
        found.update((row.text_hash, row.id) for row in rows)
    return found


def store(session: Session, vectors: dict[str, NDArray[np.float32]], model: str) -> None:
    """Keep new vectors by the hash of their text; those that another worker has stored meanwhile stay as they are."""
    rows = [{"text_hash": key, "model": model, "data": pack(vector)} for key, vector in sorted(vectors.items())]
    insert_missing(session, Vector, rows)
