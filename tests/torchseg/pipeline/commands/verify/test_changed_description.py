"""Files and certificates that say what is not so, with every hash repaired."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torchseg.config import VerifyConfig
from torchseg.modelfile.certificate import certificate_path
from torchseg.pipeline.commands.verify import Verifier, verify

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

Change = Callable[[Any, Path], None]


def scrambled(values: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(values.reshape(-1)).reshape(values.shape)


def onnx_weight(layer: str, change: Callable) -> Change:
    return lambda tamper, path: tamper.change_initializer(path, f"{layer}.weight_quantized", change)


METADATA = {
    "mean": "[0.0, 0.0, 0.0]",
    "std": "[1.0, 1.0, 1.0]",
    "classes": '["ring", "wire", "checked", "striped", "ground"]',
    "colour_order": "BGR",
    "scale": "picture / 255",
    "ignore_index": "0",
    "precision": "fp32",
    "layout": "NHCW",
    "value_range": "[0.0, 100.0]",
}


@pytest.mark.parametrize("kind", ["int8.onnx", "int8.tflite", "fp32.onnx", "int8.end_to_end.onnx"])
@pytest.mark.parametrize("name", METADATA)
def test_a_description_that_is_not_the_networks_is_found(name: str, kind: str, problems):
    text = METADATA[name]
    if kind == "int8.end_to_end.onnx" and name == "mean":
        text = "[0.485, 0.456, 0.406]"
    if kind == "fp32.onnx" and name == "precision":
        text = "int8"
    assert f"the file's metadata say {name} {text}" in problems(
        kind, lambda tamper, path: tamper.set_metadata(path, name, text)
    )


def certificate(change: Callable[[dict], None]) -> Change:
    def changed(tamper: Any, path: Path) -> None:
        with tamper.recorded(path) as values:
            change(values)

    return changed


OTHER_IMAGES = "the validation images are not those of the certificate"
LIES = {
    "agreement": (
        lambda values: values["differences"].update(argmax_agreement=0.95),
        "it says argmax agreement 0.95, but",
    ),
    "loss of mean IoU": (lambda values: values["differences"].update(miou_drop=-0.2), "it says miou drop -0.2, but"),
    "loss of a class": (
        lambda values: values["differences"]["iou_difference"].update(ring=0.5),
        "it says iou difference of ring 0.5",
    ),
    "largest error": (lambda values: values["differences"].update(max_abs_error=1e-9), "it says max abs error 1e-09"),
    "mean": (
        lambda values: values["preprocessing"].update(mean=[0, 0, 0]),
        "its preprocessing is not that of the file",
    ),
    "checked images": (
        lambda values: values["images"].update(sha256="0" * 64),
        OTHER_IMAGES,
    ),
    "number of images": (
        lambda values: values["images"].update(count=2),
        OTHER_IMAGES,
    ),
    "calibration": (
        lambda values: values["calibration_images"].update(names_sha256="0" * 64),
        "its calibration images are not those",
    ),
    "precision": (lambda values: values.update(precision="fp32"), "it says precision fp32, but it is int8"),
    "runtime": (
        lambda values: values["runtimes"]["file"].update(name="tensorrt"),
        "it says runtimes.file.name tensorrt, but it is onnxruntime",
    ),
    "runtime of the network": (
        lambda values: values["runtimes"]["network"].update(name="tensorflow"),
        "it says runtimes.network.name tensorflow, but it is torch",
    ),
    "worst image": (
        lambda values: values["differences"].update(worst_image="another.png"),
        "it says worst image another.png, which is none of the images compared",
    ),
    "latency of layers in float": (
        lambda values: values.update(float_latency_ratio=0.1),
        "it says float latency ratio 0.1, of which only",
    ),
    "layers in float": (
        lambda values: values.update(float_layers=["decode.0.3"]),
        "its float layers are not those of the file, which stores decode.0.3 as int8",
    ),
    "weights that were checked": (
        lambda values: values["layers"]["weights"].update(checked=1000),
        "it says weights.checked of its layers 1000, but it is",
    ),
    "an entry that no certificate has": (
        lambda values: values.update(approved=True),
        "it has an entry approved, which certificates do not have",
    ),
    "version": (lambda values: values.update(version=2), "it says version 2, which has no entry layers"),
    "verdict": (lambda values: values["verdict"].update(passed=False), "it says itself that the file fails"),
    "limits that are called standard": (
        lambda values: values["thresholds"].update(max_miou_drop=1.0),
        "it says standard limits True, but it is False",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_certificate_that_lies_is_found(lie: str, problems):
    change, message = LIES[lie]
    assert message in problems("int8.onnx", certificate(change))


def test_what_nothing_here_can_measure_again_is_said_and_no_more(honest: Path, verifier: Verifier, tamper):
    path = honest / "artifacts/clustered.int8.onnx"
    kept = certificate_path(path).read_bytes()
    pictures = verifier.pictures(honest, None)
    assert verifier.problems(path, pictures) == ([], "its certificate holds")
    try:
        with tamper.recorded(path) as values:
            values["runtimes"]["file"] |= {"version": "9.9.9", "threads": 64}
        said, holds = verifier.problems(path, pictures)
    finally:
        certificate_path(path).write_bytes(kept)
    assert said == []
    assert holds == (
        "its certificate holds; recorded, not checked: runtimes.file.version 9.9.9, runtimes.file.threads 64"
    )


def test_a_packed_file_does_not_get_smaller_by_its_certificate(problems):
    said = problems("int8.packed.onnx", certificate(lambda values: values.update(times_smaller=99.0)))
    assert "it says times smaller 99, but it is" in said


def test_wide_limits_in_a_certificate_do_not_excuse_scrambled_weights(problems):
    def change(tamper: Any, path: Path) -> None:
        onnx_weight("decode.0.3", scrambled)(tamper, path)
        with tamper.recorded(path) as values:
            values["thresholds"]["max_miou_drop"] = 1.0
            values["standard_limits"] = False

    assert "weights of layer `decode.0.3` are not the network's" in problems("int8.onnx", change)


def test_a_certificate_of_another_file_is_found(honest: Path, verifier: Verifier):
    path = honest / "artifacts/clustered.int8.onnx"
    kept = certificate_path(path).read_bytes()
    try:
        shutil.copyfile(certificate_path(honest / "artifacts/clustered.fp32.onnx"), certificate_path(path))
        said, _ = verifier.problems(path, verifier.pictures(honest, None))
    finally:
        certificate_path(path).write_bytes(kept)
    assert said == ["its certificate is that of clustered.fp32.onnx; export clustered.int8.onnx again"]


def test_a_file_whose_name_lost_its_precision_is_not_judged_by_that_of_its_certificate(honest: Path, tamper, capsys):
    path, renamed = honest / "artifacts/clustered.int8.onnx", honest / "artifacts/clustered.onnx"
    try:
        for each, copy in ((path, renamed), (certificate_path(path), certificate_path(renamed))):
            shutil.copyfile(each, copy)
        with tamper.recorded(renamed) as values:
            values["file"] = renamed.name
        assert verify(VerifyConfig(files=[renamed])) == 1
    finally:
        for copy in (renamed, certificate_path(renamed)):
            copy.unlink(missing_ok=True)
    assert "clustered.onnx: its name has no precision, which decides the limits; export it" in capsys.readouterr().out


def test_a_certificate_of_an_earlier_version_is_still_verified(honest: Path, verifier: Verifier, tamper):
    path = honest / "artifacts/clustered.int8.onnx"
    kept = certificate_path(path).read_bytes()
    try:
        with tamper.recorded(path) as values:
            values["version"] = 2
            for name in ("layers", "standard_limits"):
                values.pop(name)
        said = verifier.problems(path, verifier.pictures(honest, None))
    finally:
        certificate_path(path).write_bytes(kept)
    assert said[0] == []
    assert "it is of version 2" in said[1]


def test_verify_judges_every_file_of_a_run_and_ends_in_one(honest: Path, tamper, capsys):
    path = honest / "artifacts/clustered.fp32.onnx"
    kept = path.read_bytes()
    try:
        tamper.set_metadata(path, "mean", "[0.0, 0.0, 0.0]")
        assert verify(VerifyConfig(files=[honest])) == 1
    finally:
        path.write_bytes(kept)
    lines = [line for line in capsys.readouterr().out.splitlines() if "artifacts" in line]
    assert len(lines) == len(list((honest / "artifacts").glob("*.json")))
    assert sum(line.endswith("its certificate holds") for line in lines) == len(lines) - 1
    assert any("clustered.fp32.onnx: the file has changed since it was certified" in line for line in lines)
