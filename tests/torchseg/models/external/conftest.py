from __future__ import annotations

import pytest

from torchseg.trusted_code import VARIABLE


@pytest.fixture(autouse=True)
def _trust_nothing(monkeypatch):
    """Trust given by one test must not reach the next."""
    monkeypatch.setenv(VARIABLE, "")
