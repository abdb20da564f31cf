import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from numpy.typing import NDArray

from tf_bridge.packing.codebook import PackedWeight, _candidates
from tf_bridge.packing.rebuild import PackedRebuild
from tf_bridge.packing.slim import slim_graph


def clustered(shape, clusters: int, sparsity: float, dtype=np.float32, seed: int = 0) -> NDArray:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-100, 100, clusters)[rng.integers(0, clusters, shape)]
    return (weight * (rng.random(shape) >= sparsity)).astype(dtype)


def model_of(rebuild: PackedRebuild, weights: dict[str, NDArray]) -> onnx.ModelProto:
    helper = onnx.helper
    outputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(weight.dtype), weight.shape)
        for name, weight in weights.items()
    ]
    graph = helper.make_graph(rebuild.nodes, "weights", [], outputs, rebuild.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def rebuilt(rebuild: PackedRebuild, weights: dict[str, NDArray]) -> list[NDArray]:
    content = model_of(rebuild, weights).SerializeToString()
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(list(weights), {})


@settings(max_examples=12)
@given(
    array_shapes(min_dims=2, max_dims=4, max_side=7),
    st.integers(1, 40),
    st.floats(0, 1),
    st.sampled_from([np.float32, np.float16, np.int8]),
    st.integers(0, 2**32 - 1),
)
def test_onnx_runtime_rebuilds_every_storage_to_the_bit(shape, clusters, sparsity, dtype, seed) -> None:
    weight = clustered(shape, clusters, sparsity, dtype, seed)
    rebuild, weights = PackedRebuild(), {}
    for index, packed in enumerate(_candidates(weight)):
        weights[f"w{index}"] = packed.unpack()
        rebuild.add(f"w{index}", packed)
    for name, result in zip(weights, rebuilt(rebuild, weights), strict=True):
        assert result.tobytes() == weights[name].tobytes(), name


@pytest.mark.parametrize("clusters", [2, 5, 6, 7, 16, 100, 256])
def test_any_number_of_clusters_is_rebuilt(clusters: int) -> None:
    values = np.linspace(-1, 1, clusters, dtype=np.float32)
    weight = values[np.random.default_rng(0).integers(0, clusters, (32, 21, 3))]
    packed = PackedWeight.smallest(weight)
    assert packed is not None
    rebuild = PackedRebuild()
    rebuild.add("weight", packed)
    np.testing.assert_array_equal(rebuilt(rebuild, {"weight": weight})[0], weight)


def half_halved(weight: NDArray) -> NDArray:
    """Channels of two sets of values."""
    weight[::2] //= 2
    return weight


def test_the_expected_size_is_that_of_the_file_within_5_percent() -> None:
    for shape, clusters, sparsity, change in (
        ((16, 16, 3, 3), 6, 0.6, np.copy),
        ((64, 32, 3, 3), 6, 0.6, np.copy),
        ((64, 32, 3, 3), 16, 0.0, np.copy),
        ((64, 32, 3, 3), 6, 0.6, half_halved),
    ):
        weights = {f"w{index}": change(clustered(shape, clusters, sparsity, seed=index)) for index in range(20)}
        rebuild, expected = PackedRebuild(), 0
        for name, weight in weights.items():
            packed = PackedWeight.smallest(weight)
            assert packed is not None
            rebuild.add(name, packed)
            expected += packed.size_bytes
        graph = model_of(rebuild, weights).graph
        slim_graph(graph, keep=weights)
        actual = sum(len(item.SerializeToString()) + 3 for item in (*graph.node, *graph.initializer))
        assert expected == pytest.approx(actual, rel=0.05)


def test_tensors_share_their_tables_and_constants() -> None:
    def bytes_for(count: int) -> int:
        rebuild, weights = PackedRebuild(), {}
        for index in range(count):
            weights[f"w{index}"] = clustered((16, 16, 3, 3), 6, 0.6, seed=index)
            packed = PackedWeight.smallest(weights[f"w{index}"])
            assert packed is not None
            rebuild.add(f"w{index}", packed)
        return sum(item.ByteSize() for item in (*rebuild.nodes, *rebuild.initializers))

    one, two, three = (bytes_for(count) for count in (1, 2, 3))
    assert three - two < one - 500
