import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from torchseg.spec import ImageSpec

Images = NDArray[np.float32]

SPEC = ImageSpec(height=16, width=24, classes=("background", "body", "rim"))


class TinyNet(nn.Module):
    """Every kind of layer that the project's networks have, at a size that exports in a moment."""

    stride = 2

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.down = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.gate = nn.Conv2d(8, 1, 1)
        self.head = nn.Conv2d(16, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        skip = self.stem(image)
        features = nn.functional.interpolate(self.down(skip), scale_factor=2.0, mode="bilinear")
        return self.head(torch.cat([skip * torch.sigmoid(self.gate(features)), features], dim=1))


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Batch-norm statistics and biases that are not those of a fresh network, so that a mix-up shows."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor, low in ((layer.weight, 0.5), (layer.bias, -0.5), (layer.running_mean, -0.5)):
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + low)
            layer.running_var.copy_(torch.rand(layer.running_var.shape, generator=generator) + 0.5)
    return network.eval()


def riddles(seed: int, count: int) -> tuple[Images, NDArray[np.uint8]]:
    """Blurred noise `(B, 3, H, W)` and which channel is largest `(B, H, W)`: learnt in a second."""
    noise = torch.randn(count, 3, SPEC.height, SPEC.width, generator=torch.Generator().manual_seed(seed))
    images = 4 * nn.functional.avg_pool2d(noise, 5, stride=1, padding=2)
    return images.numpy(), images.argmax(dim=1).numpy().astype(np.uint8)


@pytest.fixture(scope="session")
def riddle() -> tuple[Images, NDArray[np.uint8]]:
    """Four images and masks that `learnt` has not seen."""
    return riddles(seed=0, count=4)


@pytest.fixture(scope="session")
def learnt() -> nn.Module:
    """A tiny attention U-Net that has learnt something, so that losing it can be measured."""
    from torchseg.models import build_model

    network = build_model("attention_unet", {"base_width": 4, "depth": 1}, SPEC, seed=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(100):
        images, masks = riddles(seed=step + 1, count=8)
        loss = nn.functional.cross_entropy(network(torch.from_numpy(images)), torch.from_numpy(masks).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="session")
def learnt_files(learnt: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """That network as files: plain and in int8, in both formats."""
    pytest.importorskip("tensorflow")
    from tf_bridge.conversion import Conversion
    from torchseg.modelfile.precision import Precision

    folder, paths = tmp_path_factory.mktemp("learnt"), {}
    conversion, images = Conversion(learnt, SPEC), riddles(seed=0, count=16)[0]
    for kind in ("onnx", "tflite"):
        for precision in (Precision.FP32, Precision.INT8):
            paths[kind, precision] = folder / f"net.{precision}.{kind}"
            conversion.write(paths[kind, precision], precision=precision, calibration=images)
    return paths


@pytest.fixture(scope="session", autouse=True)
def one_onnx_registry() -> Iterator[None]:
    """torch.onnx.export reads five hundred function sources anew on every call: two of its three seconds."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(functools.cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture
def spec() -> ImageSpec:
    return SPEC


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return lively(TinyNet())


@pytest.fixture
def images(spec: ImageSpec) -> Images:
    return np.random.default_rng(0).standard_normal((4, 3, spec.height, spec.width)).astype(np.float32)


@pytest.fixture(scope="session")
def convolution_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest ONNX file, for tests that read files and do not care what they compute."""
    from tf_bridge.onnx.export import export_onnx

    path = tmp_path_factory.mktemp("files") / "net.fp32.onnx"
    export_onnx(nn.Conv2d(3, 3, 3, padding=1), SPEC, path)
    return path


@pytest.fixture(scope="session")
def torch_predict() -> Callable[[nn.Module], Callable[[Images], Images]]:
    def predictor(network: nn.Module) -> Callable[[Images], Images]:
        def predict(images: Images) -> Images:
            with torch.no_grad():
                return network(torch.from_numpy(images)).numpy()

        return predict

    return predictor


@pytest.fixture(scope="session")
def onnx_predict() -> Callable[[Path], Callable[[Images], Images]]:
    import onnxruntime

    def predictor(path: Path) -> Callable[[Images], Images]:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options)
        batch = session.get_inputs()[0].shape[0]

        def predict(images: Images) -> Images:
            step = batch if isinstance(batch, int) else len(images)
            parts = [images[start : start + step] for start in range(0, len(images), step)]
            return np.concatenate([session.run(["logits"], {"image": part})[0] for part in parts])

        return predict

    return predictor


@pytest.fixture(scope="session")
def tflite_predict() -> Callable[[Path], Callable[[Images], Images]]:
    pytest.importorskip("ai_edge_litert")
    from ai_edge_litert.interpreter import Interpreter

    def predictor(path: Path) -> Callable[[Images], Images]:
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

        def predict(images: Images) -> Images:
            results = []
            for image in images:
                value = image.transpose(1, 2, 0)[None]  # (1, H, W, C)
                if source["dtype"] == np.int8:
                    scale, zero = source["quantization"]
                    value = np.clip(np.round(value / scale + zero), -128, 127).astype(np.int8)
                interpreter.set_tensor(source["index"], value)
                interpreter.invoke()
                logits = interpreter.get_tensor(target["index"])
                if target["dtype"] == np.int8:
                    scale, zero = target["quantization"]
                    logits = (logits.astype(np.float32) - zero) * np.float32(scale)
                results.append(logits.transpose(0, 3, 1, 2))
            return np.concatenate(results)

        return predict

    return predictor


@pytest.fixture(scope="session")
def operators_of() -> Callable[[Path], tuple[list[str], list[str]]]:
    """All operators of a TFLite file, and those that XNNPACK leaves to the interpreter's own, slow kernels."""
    pytest.importorskip("ai_edge_litert")
    from ai_edge_litert.interpreter import Interpreter

    def inspect(path: Path) -> tuple[list[str], list[str]]:
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        nodes = interpreter._get_ops_details()
        own = [node for node in nodes if node["op_name"] != "DELEGATE"]
        producer = {int(tensor): node for node in own for tensor in node["outputs"]}
        # What a delegate gives hides the operators behind it; whatever is still reached from the outputs runs itself.
        producer |= {int(t): node for node in nodes if node["op_name"] == "DELEGATE" for t in node["outputs"]}
        left, seen = [], set()
        wanted = [int(detail["index"]) for detail in interpreter.get_output_details()]
        while wanted:
            node = producer.get(wanted.pop())
            if node is not None and node["index"] not in seen:
                seen.add(node["index"])
                wanted += [int(tensor) for tensor in node["inputs"]]
                left += [node["op_name"]] if node["op_name"] != "DELEGATE" else []
        return [node["op_name"] for node in own], sorted(left)

    return inspect
