from __future__ import annotations

import gzip

import numpy as np
import pytest

from torchseg.harness.measure.size import gzip_bytes, zstd_bytes
from torchseg.modelfile.model_file import ModelFile


def test_gzip_gives_the_bytes_that_gzip_gives(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(np.random.default_rng(0).integers(0, 4, 100_000, dtype=np.uint8).tobytes())
    assert gzip_bytes([path]) == len(gzip.compress(path.read_bytes(), 9, mtime=0))
    assert gzip_bytes([path]) < ModelFile(path).size_bytes / 3


def test_zstd_gives_the_bytes_that_zstd_gives(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    path = tmp_path / "model.tflite"
    path.write_bytes(np.random.default_rng(0).integers(0, 4, 100_000, dtype=np.uint8).tobytes())
    once = zstandard.ZstdCompressor(level=19).compress(path.read_bytes())
    assert zstd_bytes([path]) == pytest.approx(len(once), abs=20)  # a stream's header does not know the size
    assert zstd_bytes([path]) < ModelFile(path).size_bytes / 3


def test_weights_that_do_not_shrink_are_not_tried_harder(tmp_path, monkeypatch):
    zstandard = pytest.importorskip("zstandard")
    levels, make = [], zstandard.ZstdCompressor
    monkeypatch.setattr(zstandard, "ZstdCompressor", lambda level: levels.append(level) or make(level=level))
    path = tmp_path / "dense.tflite"
    path.write_bytes(np.random.default_rng(0).normal(size=5000).astype(np.float32).tobytes())
    assert 0.85 * 20_000 < zstd_bytes([path]) < 20_000
    assert levels == [3]
