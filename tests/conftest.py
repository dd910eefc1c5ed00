"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("ANR_OFFLINE", "1")           # no test goes to the network
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings, motions and weights beside the checkout; tests that need them skip without."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is not there (real recordings are not part of the project)")
    return SHARED_DATA
