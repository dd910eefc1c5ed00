"""Other stages in place of the real ones, wherever the chain and the commands know them by name."""

from __future__ import annotations

import sys
from typing import Any

import pytest

KNOW_STAGES = ("pipelines.chain", "anrcli.commands")


def use_stages(monkeypatch: pytest.MonkeyPatch, **groups: Any) -> None:
    """Replaces module variables such as PERSON_STAGES or STAGES, also where they were imported to."""
    modules = [module for name, module in sys.modules.items() if name.startswith(KNOW_STAGES)]
    for name, value in groups.items():
        for module in modules:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
