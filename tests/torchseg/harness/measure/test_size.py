from __future__ import annotations

import gzip

import numpy as np
import onnx
import pytest

from torchseg.harness.measure.size import files_of, gzip_bytes, size_bytes, zstd_bytes


def test_a_folder_weighs_what_its_weights_weigh(checkpoint):
    assert size_bytes(checkpoint) == (checkpoint / "model.safetensors").stat().st_size
    assert size_bytes(checkpoint) == size_bytes(checkpoint / "model.safetensors")


@pytest.fixture
def split(onnx_file, tmp_path):
    """The file with its weights in a second one beside it."""
    path = tmp_path / "split.onnx"
    onnx.save(onnx.load(onnx_file), path, save_as_external_data=True, location="split.onnx.data", size_threshold=0)
    return path


def test_external_data_counts(split, tmp_path):
    assert [part.name for part in files_of(split)] == ["split.onnx", "split.onnx.data"]
    assert size_bytes(split) == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size_bytes(split) > split.stat().st_size


def test_missing_external_data_is_named(split, tmp_path):
    (tmp_path / "split.onnx.data").unlink()
    with pytest.raises(ValueError, match=r"there is no file .*split\.onnx\.data"):
        size_bytes(split)


def test_gzip_gives_the_bytes_that_gzip_gives(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(np.random.default_rng(0).integers(0, 4, 100_000, dtype=np.uint8).tobytes())
    assert gzip_bytes(path) == len(gzip.compress(path.read_bytes(), 9, mtime=0))
    assert gzip_bytes(path) < size_bytes(path) / 3


def test_zstd_gives_the_bytes_that_zstd_gives(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    path = tmp_path / "model.tflite"
    path.write_bytes(np.random.default_rng(0).integers(0, 4, 100_000, dtype=np.uint8).tobytes())
    once = zstandard.ZstdCompressor(level=19).compress(path.read_bytes())
    assert zstd_bytes(path) == pytest.approx(len(once), abs=20)  # a stream's header does not know the size
    assert zstd_bytes(path) < size_bytes(path) / 3


def test_weights_that_do_not_shrink_are_not_tried_harder(tmp_path, monkeypatch):
    zstandard = pytest.importorskip("zstandard")
    levels, make = [], zstandard.ZstdCompressor
    monkeypatch.setattr(zstandard, "ZstdCompressor", lambda level: levels.append(level) or make(level=level))
    path = tmp_path / "dense.tflite"
    path.write_bytes(np.random.default_rng(0).normal(size=5000).astype(np.float32).tobytes())
    assert 0.85 * 20_000 < zstd_bytes(path) < 20_000
    assert levels == [3]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*gone\.tflite"):
        size_bytes(tmp_path / "gone.tflite")
