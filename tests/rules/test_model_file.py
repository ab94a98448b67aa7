"""The model in the repository is what its script makes of the published one, so nobody has to trust a binary file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_model_is_what_the_script_makes_of_the_published_weights() -> None:
    run = subprocess.run(
        [sys.executable, "tools/make_minilm.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
