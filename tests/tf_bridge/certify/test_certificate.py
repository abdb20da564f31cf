import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tf_bridge.certify.certificate import (
    Evidence,
    hash_images,
    make_certificate,
    write_certificate,
)
from tf_bridge.certify.parity import Parity
from tf_bridge.certify.proof import Proof
from torchseg.modelfile.certificate import certificate_path, read_certificate
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

EVIDENCE = Evidence(
    checkpoint_sha256="c" * 64,
    image_names=("a.jpg", "b.jpg"),
    images_sha256="d" * 64,
    runtimes={"file": {"name": "onnxruntime", "version": "1.2.3", "threads": 1}},
)
PARITY = Parity(
    max_abs_error=1e-6,
    mean_abs_error=1e-7,
    logit_range=4.0,
    argmax_agreement=1.0,
    iou_difference=(0.0, -0.01, None),
    miou_drop=0.005,
    worst_image=1,
)


@pytest.fixture
def file(convolution_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(convolution_file, tmp_path))


def test_a_certificate_holds_file_images_differences_and_conditions(file: Path, spec: ImageSpec) -> None:
    certificate = make_certificate(file, spec, PARITY, EVIDENCE, precision=Precision.FP32)
    assert certificate["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert certificate["checkpoint_sha256"] == "c" * 64
    names = hashlib.sha256(b'["a.jpg", "b.jpg"]').hexdigest()
    assert certificate["images"] == {"count": 2, "names_sha256": names, "sha256": "d" * 64}
    assert certificate["calibration_images"]["count"] == 0
    assert certificate["differences"]["iou_difference"] == {"background": 0.0, "body": -0.01, "rim": None}
    assert certificate["differences"]["worst_image"] == "b.jpg"
    assert certificate["inputs"] == [{"name": "image", "shape": [1, 3, 16, 24], "type": "float32"}]
    assert certificate["outputs"][0]["name"] == "logits"
    assert certificate["layout"] == "NCHW"
    assert certificate["preprocessing"]["mean"] == list(spec.mean)
    assert certificate["thresholds"] == {"min_argmax_agreement": 0.9995, "max_error_share": 1e-3}
    assert certificate["verdict"] == {"passed": True, "failures": [], "beyond_standard": [], "accuracy": ""}
    assert certificate["standard_limits"] is True
    assert certificate["runtimes"]["file"]["threads"] == 1


def relabel(file: Path, name: str, text: str) -> None:
    model = onnx.load(file)
    (entry,) = (each for each in model.metadata_props if each.key == f"torchseg.{name}")
    entry.value = text
    onnx.save(model, file)


@pytest.mark.parametrize(("name", "text"), [("colour_order", "BGR"), ("mean", "[0, 0, 0]"), ("precision", "int8")])
def test_a_file_that_describes_itself_wrongly_fails(name: str, text: str, file: Path, spec: ImageSpec) -> None:
    relabel(file, name, text)
    (failure,) = make_certificate(file, spec, PARITY, EVIDENCE, precision=Precision.FP32)["verdict"]["failures"]
    assert failure.startswith(f"the file's metadata say {name} {text}; the network has ")


def test_a_failed_proof_fails_the_file(file: Path, spec: ImageSpec) -> None:
    proof = Proof(numbers={"weights": {"checked": 3}}, failures=("weights of layer `a` are not the network's",))
    certificate = make_certificate(file, spec, PARITY, EVIDENCE, precision=Precision.FP32, proof=proof)
    assert certificate["verdict"]["failures"] == ["weights of layer `a` are not the network's"]
    assert certificate["layers"] == {"weights": {"checked": 3}}


def test_other_limits_are_called_so_and_judged_by_the_standard_ones_too(file: Path, spec: ImageSpec) -> None:
    relabel(file, "precision", "int8")
    lossy = replace(PARITY, miou_drop=0.05)
    certificate = make_certificate(file, spec, lossy, EVIDENCE, precision=Precision.INT8, max_drop=0.1)
    assert certificate["standard_limits"] is False
    assert certificate["verdict"]["passed"]
    assert certificate["verdict"]["beyond_standard"] == ["mean IoU drops by 0.0500; expected at most 0.02"]


def test_a_loss_of_accuracy_is_not_stated_from_a_few_images(file: Path, spec: ImageSpec) -> None:
    relabel(file, "precision", "int8")
    few, many = replace(PARITY, images=2), replace(PARITY, images=64, miou_drop_interval=(-0.001, 0.011))

    def accuracy(parity: Parity) -> str:
        return make_certificate(file, spec, parity, EVIDENCE, precision=Precision.INT8)["verdict"]["accuracy"]

    assert accuracy(few) == "too few to say: 2 images; the loss of mean IoU needs at least 20"
    assert accuracy(many) == "mean IoU drops by -0.10 to +1.10 points (95 % interval over 64 images)"


def test_a_failed_check_is_in_the_verdict(file: Path, spec: ImageSpec) -> None:
    certificate = make_certificate(
        file, spec, replace(PARITY, miou_drop=0.03), EVIDENCE, precision=Precision.INT8, max_drop=0.01
    )
    assert certificate["verdict"]["passed"] is False
    assert certificate["thresholds"] == {"max_miou_drop": 0.01}


def test_layers_left_in_float_and_what_they_cost_are_told(file: Path, spec: ImageSpec) -> None:
    relabel(file, "precision", "int8")
    plain = make_certificate(file, spec, PARITY, EVIDENCE, precision=Precision.INT8)
    assert (plain["float_layers"], plain["float_latency_ratio"]) == ([], None)
    evidence = replace(EVIDENCE, float_layers=("stem.0",), float_latency_ratio=1.2)
    mixed = make_certificate(file, spec, PARITY, evidence, precision=Precision.INT8, max_class_drop=0.02)
    assert (mixed["float_layers"], mixed["float_latency_ratio"]) == (["stem.0"], 1.2)
    assert mixed["thresholds"] == {"max_miou_drop": 0.02, "max_class_drop": 0.02}
    assert mixed["verdict"]["passed"]


def test_numbers_that_are_none_become_null(file: Path, spec: ImageSpec) -> None:
    parity = replace(PARITY, max_abs_error=float("nan"))
    certificate = make_certificate(file, spec, parity, EVIDENCE, precision=Precision.INT8)
    assert certificate["differences"]["max_abs_error"] is None
    assert not certificate["verdict"]["passed"]
    json.dumps(certificate, allow_nan=False)


def test_written_and_read_again_it_is_the_same(file: Path, spec: ImageSpec) -> None:
    certificate = make_certificate(file, spec, PARITY, EVIDENCE, precision=Precision.FP32)
    assert write_certificate(file, certificate) == file.parent / "net.fp32.onnx.json" == certificate_path(file)
    assert read_certificate(file) == certificate


def test_names_of_images_are_counted_and_hashed_in_their_order(file: Path, spec: ImageSpec) -> None:
    names = [f"image {number}" for number in range(48)]

    def calibrated(names: Sequence[str]) -> dict[str, Any]:
        evidence = replace(EVIDENCE, calibration_names=names)
        return make_certificate(file, spec, PARITY, evidence, precision=Precision.INT8)["calibration_images"]

    assert calibrated(names)["count"] == 48
    assert calibrated(names) == calibrated(tuple(names)) != calibrated(names[::-1])
    assert calibrated(["a", "b"]) != calibrated(['a", "b'])


def test_a_certificate_that_lists_names_is_read_as_one_that_counts_them(file: Path, spec: ImageSpec) -> None:
    evidence = replace(EVIDENCE, calibration_names=("c.jpg", "d.jpg", "e.jpg"))
    certificate = make_certificate(file, spec, PARITY, evidence, precision=Precision.INT8)
    old = {
        **certificate,
        "version": 1,
        "images": {"names": ["a.jpg", "b.jpg"], "sha256": "d" * 64},
        "calibration_images": ["c.jpg", "d.jpg", "e.jpg"],
    }
    write_certificate(file, old)
    assert read_certificate(file) == {**certificate, "version": 2}


def test_a_comparison_of_other_images_is_refused(file: Path, spec: ImageSpec) -> None:
    with pytest.raises(ValueError, match="name every image compared"):
        make_certificate(file, spec, replace(PARITY, worst_image=2), EVIDENCE, precision=Precision.FP32)


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no certificate \(net.onnx.json\)"):
        read_certificate(tmp_path / "net.onnx")


@pytest.mark.parametrize("content", ["", "[]", '{"verdict": 1}', '{"version": 1, "images": 3}', "\x00", "[" * 50_000])
def test_a_damaged_certificate_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "net.onnx.json").write_text(content)
    with pytest.raises(ValueError, match=r"is damaged: .*; export net\.onnx again"):
        read_certificate(tmp_path / "net.onnx")


def test_a_certificate_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx.json").write_text('{"version": 99}')
    with pytest.raises(ValueError, match="has version 99; this release reads versions 1 to 3"):
        read_certificate(tmp_path / "net.onnx")


def test_the_hash_of_the_images_notices_one_changed_pixel(images) -> None:
    masks = np.zeros((4, 16, 24), np.uint8)
    before = hash_images(images, masks)
    assert before == hash_images(images.copy(), masks.copy())
    masks[0, 0, 0] = 1
    assert hash_images(images, masks) != before
