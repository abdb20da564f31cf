"""What a stored certificate says that is not so; whole files are in the tests of `verify`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tf_bridge.certify.compare_certificates import not_measured_again, recorded_lies
from tf_bridge.certify.verdict import interval_statement
from torchseg.modelfile.certificate import CERTIFICATE_VERSION

HONEST: dict[str, Any] = {
    "version": CERTIFICATE_VERSION,
    "standard_limits": True,
    "images": {"count": 64},
    "calibration_images": {"count": 32},
    "differences": {
        "argmax_agreement": 0.99,
        "logit_range": 20.0,
        "images": 64,
        "miou_drop": 0.001,
        "miou_drop_interval": [-0.002, 0.004],
        "worst_image": "a",
    },
    "layers": {
        "weights": {"checked": 9, "share_of_limit": 0.96},
        "arithmetic": {"steps": {"layer": "stem", "error": 0.291}, "noise_ratio": 1.02},
    },
    "runtimes": {
        "file": {"name": "onnxruntime", "version": "1.31.1", "threads": 1, "input_shape": (1, 3, 8, 8)},
        "network": {"name": "torch", "version": "2.13.0", "threads": 1},
    },
    "float_layers": [],
    "float_latency_ratio": None,
    "verdict": {"passed": True, "accuracy": interval_statement(64, [-0.002, 0.004]), "beyond_standard": []},
}


def lies(change: Callable[[dict[str, Any]], object]) -> list[str]:
    recorded = copy.deepcopy(HONEST)
    change(recorded)
    names = ("file", "sha256", "size_bytes", "checkpoint_sha256", "format", "precision", "layout", "inputs", "outputs")
    fresh = HONEST | dict.fromkeys((*names, "preprocessing", "thresholds"))
    return recorded_lies(recorded, fresh)


def test_numbers_of_another_processor_are_no_lies():
    def change(recorded: dict[str, Any]) -> None:
        recorded["differences"] |= {"argmax_agreement": 0.9905, "miou_drop": 0.0012}
        recorded["differences"] |= {"miou_drop_interval": [-0.003, 0.006], "worst_image": "b"}
        recorded["verdict"]["accuracy"] = interval_statement(64, [-0.003, 0.006])
        recorded["layers"]["arithmetic"]["noise_ratio"] = 0.8

    assert lies(change) == []
    assert lies(lambda recorded: None) == []


def test_versions_and_threads_of_another_machine_are_no_lies_but_are_not_taken_on_trust():
    recorded = copy.deepcopy(HONEST)
    recorded["runtimes"]["file"] |= {"version": "1.20.0", "input_shape": [1, 3, 8, 8]}
    recorded["runtimes"]["network"]["threads"] = 8
    recorded["layers"]["arithmetic"]["steps"] |= {"layer": "head", "error": 0.3}
    assert lies(lambda each: each.update(recorded)) == []
    assert not_measured_again(recorded, HONEST) == {
        "runtimes.file.version": "1.20.0",
        "runtimes.network.threads": 8,
        "layers.arithmetic.steps.layer": "head",
    }
    assert not_measured_again(HONEST, HONEST) == {}


LIES = {
    "an interval": (lambda each: each["differences"].update(miou_drop_interval=[-0.5, -0.4]), "it says miou drop"),
    "no interval": (lambda each: each["differences"].update(miou_drop_interval=None), "interval None, but it is"),
    "the number of images": (lambda each: each["differences"].update(images=4000), "it says images 4000, but it is 64"),
    "words on accuracy": (
        lambda each: each["verdict"].update(accuracy="mean IoU drops by -9.00 to -8.00 points"),
        "it says 'mean IoU drops by -9.00 to -8.00 points', but its numbers say 'mean IoU drops by -0.20 to +0.40",
    ),
    "the error of a layer": (
        lambda each: each["layers"]["arithmetic"]["steps"].update(error=0.0001),
        "it says error of its layers 0.0001, but it is 0.291",
    ),
    "no layers": (lambda each: each.update(layers=None), "it says nothing of the file's layers"),
    "a list of failures": (
        lambda each: each["verdict"].update(failures=["mean IoU drops by 0.5"]),
        "it lists what fails, but says that the file passes: mean IoU drops by 0.5",
    ),
    "a difference": (
        lambda each: each.update(first_difference={"layer": "stem"}),
        "it names a layer from which on the file differs",
    ),
    "a runtime that did not run": (
        lambda each: each["runtimes"]["file"].update(name="tensorrt"),
        "it says runtimes.file.name tensorrt, but it is onnxruntime",
    ),
    "a shape": (
        lambda each: each["runtimes"]["file"].update(input_shape=[1, 3, 9, 9]),
        "it says runtimes.file.input shape [1, 3, 9, 9], but it is [1, 3, 8, 8]",
    ),
    "weights that were not checked": (
        lambda each: each["layers"]["weights"].update(checked=90),
        "it says weights.checked of its layers 90, but it is 9",
    ),
    "layers in float of an fp32 file": (
        lambda each: each.update(precision="fp32", float_layers=["stem"]),
        "it names float layers (stem), of which only int8 and fp16 files have any",
    ),
    "the latency of layers in float that the file does not have": (
        lambda each: each.update(precision="int8", float_latency_ratio=0.5),
        "it says float latency ratio 0.5, of which only",
    ),
    "an entry": (lambda each: each.update(audited_by="somebody"), "it has an entry audited_by, which certificates"),
    "an entry of an entry": (
        lambda each: each["layers"]["arithmetic"].update(proven=True),
        "it has an entry layers.arithmetic.proven, which certificates do not have",
    ),
    "another version": (lambda each: each.update(version=2), "it says version 2, which has no entry layers"),
    "a count as words": (
        lambda each: each["layers"].update(weights="all of them"),
        "weights of its layers all of them, but it is",
    ),
    "an error as words": (
        lambda each: each["layers"]["arithmetic"]["steps"].update(error="none"),
        "it says error of its layers none, but it is 0.291",
    ),
    "no words on accuracy": (lambda each: each["verdict"].update(accuracy=""), "it says nothing of accuracy"),
    "limits that it exceeds": (
        lambda each: each["verdict"].update(beyond_standard=["mean IoU drops by 0.5"]),
        "it says that the file is beyond the standard limits, but it is not: mean IoU drops by 0.5",
    ),
    "the noise": (lambda each: each["layers"]["arithmetic"].update(noise_ratio=0.1), "noise ratio of its layers 0.1"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_told(lie: str):
    change, words = LIES[lie]
    said = lies(change)
    assert any(words in each for each in said), said


def test_calibration_images_of_a_file_that_was_not_calibrated_are_a_lie():
    names = ("file", "sha256", "size_bytes", "checkpoint_sha256", "format", "precision", "layout", "inputs", "outputs")
    fresh = HONEST | dict.fromkeys((*names, "preprocessing", "thresholds")) | {"calibration_images": {"count": 0}}
    assert recorded_lies(fresh, fresh) == []
    said = recorded_lies(fresh | {"calibration_images": {"count": 500}}, fresh)
    assert said == ["it names calibration images, of which only int8 files have any"]


def test_words_of_an_earlier_release_on_few_images_are_no_lie():
    def change(recorded: dict[str, Any]) -> None:
        recorded["verdict"]["accuracy"] = "too few to say: 1 images; the loss of mean IoU needs at least 20"
        recorded["differences"] |= {"images": 64, "miou_drop_interval": None}

    assert not any("its numbers say" in each for each in lies(change))


def test_what_a_certificate_of_an_earlier_version_lacks_is_no_lie():
    def change(recorded: dict[str, Any]) -> None:
        recorded["version"] = 2
        for name in ("layers", "standard_limits"):
            del recorded[name]
        del recorded["differences"]["miou_drop_interval"]
        del recorded["verdict"]["accuracy"]

    assert lies(change) == []
