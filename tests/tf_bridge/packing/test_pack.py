import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tf_bridge.onnx.export import export_onnx
from tf_bridge.onnx.quantize import convert_onnx
from tf_bridge.packing.codebook import PackedWeight
from tf_bridge.packing.pack import PackingSummary, executed_operators, pack_onnx
from tf_bridge.packing.rebuild import PackedRebuild
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.spec import ImageSpec

pytestmark = pytest.mark.slow

SIDE = 32


class MixedPrecisionWriter(nn.Module):
    """A transposed convolution, a linear layer and one weight that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(16, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 32, 2, stride=2)
        self.mix = nn.Linear(32, 64)
        self.head = nn.Conv2d(64, 3, 1)
        self.widen = nn.Conv2d(3, 16, 3, padding=1, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.up(self.shared(self.shared(self.widen(image))))
        return self.head(self.mix(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def compress(network: nn.Module, *, sparsity: float = 0.6, clusters: int = 6) -> nn.Module:
    """Prunes by magnitude with a mask, which leaves negative zeros, then gives each layer a few shared values."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            weight = layer.weight.data.numpy()
            mask = np.abs(weight) > np.quantile(np.abs(weight), sparsity)
            centres = np.quantile(weight[mask], (np.arange(clusters) + 0.5) / clusters).astype(np.float32)
            weight[...] = centres[np.abs(weight[..., None] - centres).argmin(-1)] * mask
    return network.eval()


@pytest.fixture(scope="module")
def wide_spec() -> ImageSpec:
    return ImageSpec(height=SIDE, width=SIDE, classes=("background", "body", "rim"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, wide_spec: ImageSpec) -> dict[Precision, Path]:
    """The default student at 60 % zeros and 6 clusters; batch norm, folded by the export, makes that 6 per channel."""
    network = build_model("small_unet", {}, wide_spec)
    rng = np.random.default_rng(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                tensor.data.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, tensor.shape).astype(np.float32)))
    folder = tmp_path_factory.mktemp("student")
    paths = {precision: folder / f"net.{precision}.onnx" for precision in (Precision.FP32, Precision.INT8)}
    export_onnx(compress(network), wide_spec, paths[Precision.FP32])
    images = rng.standard_normal((2, 3, SIDE, SIDE)).astype(np.float32)
    onnx.save(convert_onnx(onnx.load(paths[Precision.FP32]), Precision.INT8, images), paths[Precision.INT8])
    return paths


@pytest.fixture(scope="module")
def mixed_file(tmp_path_factory: pytest.TempPathFactory, wide_spec: ImageSpec) -> Path:
    path = tmp_path_factory.mktemp("mixed") / "net.onnx"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        export_onnx(compress(MixedPrecisionWriter()), wide_spec, path)
    return path


@pytest.fixture(scope="module")
def packed(files: dict[Precision, Path]) -> dict[Precision, tuple[Path, PackingSummary]]:
    targets = {precision: path.with_suffix(".packed.onnx") for precision, path in files.items()}
    return {precision: (target, pack_onnx(files[precision], target)) for precision, target in targets.items()}


def random_images(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 3, SIDE, SIDE)).astype(np.float32)


@pytest.mark.parametrize(("precision", "least"), [(Precision.FP32, 10), (Precision.INT8, 2.5)])
def test_a_packed_student_is_so_many_times_smaller(files, packed, precision: Precision, least: float) -> None:
    path, summary = packed[precision]
    assert summary.source_bytes == files[precision].stat().st_size
    assert summary.target_bytes == path.stat().st_size
    assert summary.times_smaller >= least


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_a_packed_file_gives_the_same_bits_with_the_same_operators(files, packed, precision, onnx_predict) -> None:
    path, _ = packed[precision]
    expected, logits = (onnx_predict(file)(random_images()) for file in (files[precision], path))
    assert logits.tobytes() == expected.tobytes()
    executed = executed_operators(path)
    assert executed == executed_operators(files[precision])
    assert not {"Gather", "GatherElements", "CumSum"} & set(executed)
    assert executed["com.microsoft.QLinearConv"] == (23 if precision is Precision.INT8 else 0)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.INT8])
def test_zeros_without_clusters_are_packed_too(precision, wide_spec, tmp_path, onnx_predict) -> None:
    network = build_model("small_unet", {}, wide_spec)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            weight = layer.weight.data
            weight[weight.abs() <= weight.abs().flatten().kthvalue(int(0.8 * weight.numel())).values] = 0
    source, target = tmp_path / "net.onnx", tmp_path / "packed.onnx"
    export_onnx(network.eval(), wide_spec, source)
    onnx.save(convert_onnx(onnx.load(source), precision, random_images()), source)
    summary = pack_onnx(source, target)
    assert summary.times_smaller > {Precision.FP32: 4, Precision.FP16: 3.3, Precision.INT8: 2}[precision]
    storage = Counter(row.storage for row in summary.weights)
    assert storage.most_common(1)[0][0] == ("mask and codes" if precision is Precision.INT8 else "mask and values")
    assert onnx_predict(target)(random_images()).tobytes() == onnx_predict(source)(random_images()).tobytes()


def test_transposed_convolutions_linear_layers_and_shared_weights_are_packed(
    mixed_file, tmp_path, onnx_predict
) -> None:
    packed = tmp_path / "packed.onnx"
    summary = pack_onnx(mixed_file, packed)
    stored = {row.name: row for row in summary.weights}
    assert len(stored) == 5
    assert all(row.storage != "dense" for row in summary.weights if row.dense_bytes > 2000)
    assert stored["shared.weight"].storage == "mask and codes"
    assert onnx_predict(packed)(random_images()).tobytes() == onnx_predict(mixed_file)(random_images()).tobytes()


def test_the_student_has_negative_zeros_and_a_codebook_per_channel_behind_batch_norm(files) -> None:
    weights = {tensor.name: tensor for tensor in onnx.load(files[Precision.FP32]).graph.initializer}
    weight = onnx.numpy_helper.to_array(weights["down.3.1.3.weight"])
    assert np.signbit(weight[weight == 0]).any()
    assert len(np.unique(weight)) > 256
    assert max(len(np.unique(channel)) for channel in weight) == 7


def test_the_summary_tells_how_each_weight_is_stored(packed) -> None:
    _, summary = packed[Precision.FP32]
    stored = {row.name: row for row in summary.weights}
    assert len(stored) == 23
    projection = stored["up.0.project.weight"]  # no batch norm behind it
    assert (projection.storage, projection.codebooks, projection.values) == ("mask and codes", 1, 6)
    deepest = stored["down.3.1.3.weight"]
    assert (deepest.storage, deepest.codebooks, deepest.values) == ("mask and codes", 128, 6)
    assert deepest.dense_bytes == 4 * 128 * 128 * 9
    assert deepest.dense_bytes > 12 * deepest.packed_bytes


def test_names_and_metadata_stay(files, packed) -> None:
    path, _ = packed[Precision.FP32]
    before, after = describe_file(files[Precision.FP32]), describe_file(path)
    assert (after["inputs"], after["outputs"]) == (before["inputs"], before["outputs"])
    assert after["metadata"] == before["metadata"] | {"torchseg.storage": "packed"}
    rebuilt = {name for node in onnx.load(path).graph.node for name in node.output}
    assert "down.3.1.3.weight" in rebuilt


def test_only_standard_operators_of_the_source_opset_are_written(files, packed) -> None:
    source, target = onnx.load(files[Precision.INT8]), onnx.load(packed[Precision.INT8][0])
    assert {node.domain for node in target.graph.node} == {""}
    assert target.opset_import == source.opset_import
    assert not target.functions


def test_packing_twice_gives_the_same_bytes(mixed_file, tmp_path: Path) -> None:
    for name in ("first.onnx", "second.onnx"):
        pack_onnx(mixed_file, tmp_path / name)
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_a_file_can_replace_its_source(mixed_file, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(mixed_file.read_bytes())
    summary = pack_onnx(path, path)
    assert summary.source_bytes == mixed_file.stat().st_size
    assert summary.target_bytes == path.stat().st_size < summary.source_bytes


def test_a_network_that_was_never_compressed_stays_dense(convolution_file: Path, tmp_path: Path, onnx_predict) -> None:
    summary = pack_onnx(convolution_file, tmp_path / "packed.onnx")
    assert [row.storage for row in summary.weights] == ["dense"]
    assert summary.target_bytes <= summary.source_bytes
    images = np.random.default_rng(0).standard_normal((1, 3, 16, 24)).astype(np.float32)
    expected = onnx_predict(convolution_file)(images)
    assert onnx_predict(tmp_path / "packed.onnx")(images).tobytes() == expected.tobytes()


def test_no_file_appears_when_the_runtime_executes_the_rebuilding(mixed_file, tmp_path: Path, monkeypatch) -> None:
    def executed(path: Path) -> Counter[str]:
        return Counter(node.op_type for node in onnx.load(path).graph.node)

    monkeypatch.setattr("tf_bridge.packing.pack.executed_operators", executed)
    with pytest.raises(ValueError, match=r"executes .*'GatherElements': .* more .*keep the unpacked file"):
        pack_onnx(mixed_file, tmp_path / "packed.onnx")
    assert list(tmp_path.iterdir()) == []


def test_no_file_appears_when_a_weight_comes_back_with_other_values(mixed_file, tmp_path: Path, monkeypatch) -> None:
    add = PackedRebuild.add

    def add_with_other_values(self: PackedRebuild, name: str, packed: PackedWeight) -> None:
        add(self, name, dataclasses.replace(packed, codebook=-packed.codebook))

    monkeypatch.setattr(PackedRebuild, "add", add_with_other_values)
    with pytest.raises(ValueError, match=r"rebuilds .* with other values; keep the unpacked file and report this"):
        pack_onnx(mixed_file, tmp_path / "packed.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_packed_file_is_not_packed_again(convolution_file: Path, tmp_path: Path) -> None:
    pack_onnx(convolution_file, tmp_path / "packed.onnx")
    with pytest.raises(ValueError, match=r"packed.onnx is packed already; give the file that it was made from"):
        pack_onnx(tmp_path / "packed.onnx", tmp_path / "again.onnx")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(mixed_file: Path, tmp_path: Path, share: float) -> None:
    content = mixed_file.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"cut.onnx is not a complete ONNX file .*export it again"):
        pack_onnx(tmp_path / "cut.onnx", tmp_path / "packed.onnx")
    assert not (tmp_path / "packed.onnx").exists()


def altered(path: Path, target: Path, change) -> Path:
    model = onnx.load(path)
    change(model)
    target.write_bytes(model.SerializeToString())
    return target


def test_a_weight_with_missing_bytes_is_refused(convolution_file: Path, tmp_path: Path) -> None:
    def cut(model: onnx.ModelProto) -> None:
        tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        tensor.raw_data = tensor.raw_data[:-4]

    with pytest.raises(ValueError, match=r"bad.onnx .*export it again"):
        pack_onnx(altered(convolution_file, tmp_path / "bad.onnx", cut), tmp_path / "packed.onnx")


def test_a_weight_that_is_not_finite_is_refused_by_name(convolution_file: Path, tmp_path: Path) -> None:
    def spoil(model: onnx.ModelProto) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
        tensor.raw_data = np.full(tensor.dims, np.nan, np.float32).tobytes()

    with pytest.raises(ValueError, match=r"weight: weight holds values that are not finite; train the network again"):
        pack_onnx(altered(convolution_file, tmp_path / "bad.onnx", spoil), tmp_path / "packed.onnx")


def test_an_old_opset_is_refused(convolution_file: Path, tmp_path: Path) -> None:
    def age(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = 11

    with pytest.raises(ValueError, match=r"old.onnx has opset 11; packing needs 13 or later: export it again"):
        pack_onnx(altered(convolution_file, tmp_path / "old.onnx", age), tmp_path / "packed.onnx")


def test_other_formats_and_missing_files_are_refused(convolution_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"net.tflite is not an .onnx file; only ONNX files can be packed"):
        pack_onnx(Path("net.tflite"), tmp_path / "packed.onnx")
    with pytest.raises(ValueError, match=r"packed.bin is not an .onnx file"):
        pack_onnx(convolution_file, tmp_path / "packed.bin")
    with pytest.raises(ValueError, match=r"there is no file .*none.onnx"):
        pack_onnx(tmp_path / "none.onnx", tmp_path / "packed.onnx")
