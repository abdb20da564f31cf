"""What all tests share: no property test has a time limit per example, because the first tensor call is slow."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # two test processes on two cores must not spin while they wait

import pytest
import torch
from hypothesis import settings

import torchseg  # noqa: F401 - mends torchvision before anything imports it

settings.register_profile("tensors", deadline=None, max_examples=25)
settings.load_profile("tensors")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    """Commands write below the current folder unless told otherwise."""
    monkeypatch.chdir(tmp_path)
