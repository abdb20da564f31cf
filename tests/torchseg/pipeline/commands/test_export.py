from __future__ import annotations

import os
from pathlib import Path

import pytest

from torchseg.config import ExportConfig
from torchseg.pipeline.commands.export import _holding
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.lock import locked


@pytest.fixture
def run(tmp_path):
    """A run in which a command has ended."""
    folder = RunFolder(tmp_path / "run")
    with folder.held():
        pass
    return folder.path


def _versions(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks for readers")
def test_an_export_to_another_place_writes_nothing_into_the_run(run, tmp_path):
    before, config = _versions(run), ExportConfig(checkpoint=run / "student", out=tmp_path / "out")
    with _holding(config, tmp_path / "out"), pytest.raises(ValueError, match="another command is running"), locked(run):
        pass
    assert _versions(run) == before


@pytest.mark.parametrize("flags", [{}, {"qat_epochs": 1, "out": Path("elsewhere")}])
def test_an_export_into_the_run_holds_it(run, flags):
    config = ExportConfig(checkpoint=run / "student", **flags)
    held = _holding(config, run / "artifacts" if config.out is None else config.out)
    with held, pytest.raises(ValueError, match=r"another command is running in .* \(process"), locked(run):
        pass
