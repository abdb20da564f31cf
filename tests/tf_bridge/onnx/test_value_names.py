"""Names of values, by hand on small graphs and by the files of layers whose weights are computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from tf_bridge.onnx.export import export_onnx
from tf_bridge.onnx.value_names import rename_values
from torchseg.spec import ImageSpec


def graph(nodes: list[onnx.NodeProto], constants: tuple[str, ...] = (), *, output: str = "logits") -> GraphProto:
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("image", output)}
    tensors = [numpy_helper.from_array(np.ones(2, np.float32), name) for name in constants]
    return helper.make_graph(nodes, "net", [values["image"]], [values[output]], tensors)


def model(*nodes: tuple[str, str, str], constants: tuple[str, ...] = ()) -> ModelProto:
    """A model of additions, each `(first summand, second summand, sum)`."""
    added = [helper.make_node("Add", [first, second], [total], name=total) for first, second, total in nodes]
    return helper.make_model(graph(added, constants), opset_imports=[helper.make_opsetid("", 20)])


def edges(graph: GraphProto) -> list[tuple[list[str], list[str]]]:
    return [(list(node.input), list(node.output)) for node in graph.node]


def test_a_constant_is_renamed_where_it_is_held_and_where_it_is_read() -> None:
    renamed = rename_values(model(("image", "mul", "logits"), constants=("mul",)), {"mul": "layer/mul"})
    onnx.checker.check_model(renamed, full_check=True)
    assert edges(renamed.graph) == [(["image", "layer/mul"], ["logits"])]


def test_inputs_and_outputs_keep_their_names() -> None:
    renamed = rename_values(model(("image", "image", "logits")), {"image": "a/relu", "logits": "a/add"})
    assert edges(renamed.graph) == [(["image", "image"], ["logits"])]


def test_a_weight_keeps_its_name_even_if_a_node_has_the_same() -> None:
    before = model(("image", "add", "add_1"), ("add_1", "add", "logits"), constants=("add",))
    renamed = rename_values(before, {"add": "layer/add", "add_1": "layer/add_2"}, weights=["add"])
    assert edges(renamed.graph) == [(["image", "add"], ["layer/add_2"]), (["layer/add_2", "add"], ["logits"])]


def test_two_values_never_share_a_name() -> None:
    before = model(("image", "a/add", "x"), ("x", "x", "y"), ("x", "y", "logits"), constants=("a/add",))
    renamed = rename_values(before, {"x": "a/add", "y": "a/add"})
    onnx.checker.check_model(renamed, full_check=True)
    assert [outputs for _, outputs in edges(renamed.graph)] == [["a/add_2"], ["a/add_3"], ["logits"]]


def test_a_body_reads_values_from_outside_by_their_new_names_and_keeps_its_own() -> None:
    # `y` of the first branch hides nothing; `x` of the second hides the outer `x`, so that `then` returns its own.
    branches = {
        "then_branch": graph([helper.make_node("Add", ["x", "held"], ["y"])], output="y"),
        "else_branch": graph([helper.make_node("Neg", ["image"], ["x"])], output="x"),
    }
    for branch in branches.values():
        del branch.input[:]
    before = model(("image", "held", "x"), constants=("held", "chosen"))
    before.graph.node.append(helper.make_node("If", ["chosen"], ["logits"], **branches))
    renamed = rename_values(before, {"x": "a/add", "held": "a/mul", "y": "b/add"})
    bodies = [attribute.g for attribute in renamed.graph.node[1].attribute]
    assert sorted(edges(body)[0] for body in bodies) == [(["a/add", "a/mul"], ["y"]), (["image"], ["x"])]


def test_a_body_may_return_a_value_from_outside() -> None:
    body = graph([], output="x")
    del body.input[:]
    before = model(("image", "image", "x"), constants=("chosen",))
    before.graph.node.append(helper.make_node("If", ["chosen"], ["logits"], then_branch=body, else_branch=body))
    renamed = rename_values(before, {"x": "a/add"})
    assert {attribute.g.output[0].name for attribute in renamed.graph.node[1].attribute} == {"a/add"}


def test_notes_on_values_follow_them() -> None:
    before = model(("image", "mul", "x"), ("x", "x", "logits"), constants=("mul",))
    annotation = before.graph.quantization_annotation.add(tensor_name="x")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="mul")
    before.graph.value_info.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]))
    renamed = rename_values(before, {"x": "a/add", "mul": "a/mul"}).graph
    assert renamed.value_info[0].name == "a/add"
    assert renamed.quantization_annotation[0].tensor_name == "a/add"
    assert renamed.quantization_annotation[0].quant_parameter_tensor_names[0].value == "a/mul"


class _Conditional(nn.Module):
    """Has a parameter with the name of an operator, and a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.add = nn.Parameter(torch.rand(1, 3, 1, 1))
        self.one, self.other = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        image = 2 - self.add * self.one(image + self.add)
        return torch.cond(image.sum() > 0, lambda x: self.one(2 * x), lambda x: self.other(x) + self.add, (image,))


@pytest.mark.slow
def test_constants_and_branches_of_a_network_reach_the_file(
    tmp_path: Path, spec: ImageSpec, images, torch_predict: Callable, onnx_predict: Callable
) -> None:
    network = _Conditional().eval()
    export_onnx(network, spec, tmp_path / "net.onnx")
    for image in np.concatenate([30 * images, -30 * images])[:, None]:  # both branches
        expected = torch_predict(network)(image)
        np.testing.assert_allclose(onnx_predict(tmp_path / "net.onnx")(image), expected, rtol=1e-4, atol=1e-5)
