from pathlib import Path

import onnx
import onnx.parser
import pytest

from tf_bridge.packing.pack import executed_operators


def test_constants_are_folded_and_operators_fused(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        net (float[1,4,8,8] image) => (float[1,4,8,8] logits) <float[1] half = {0.5}, int64[4] shape = {4, 4, 1, 1}> {
            weight = Expand(half, shape)
            features = Conv(image, weight)
            logits = Relu(features)
        }"""
    )
    onnx.save(model, tmp_path / "net.onnx")
    counts = executed_operators(tmp_path / "net.onnx")
    assert "Expand" not in counts
    assert sum(count for name, count in counts.items() if "Conv" in name) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_a_file_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"ONNX Runtime cannot load .*net.onnx \(.*\); export it again"):
        executed_operators(tmp_path / "net.onnx")
