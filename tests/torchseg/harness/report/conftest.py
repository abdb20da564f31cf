"""Rows of scores.csv to recommend from: a teacher, its student, and six files of the student."""

from __future__ import annotations

import pytest


def make_row(name: str, kind: str, miou: str, size: str, latency: str, **more: str) -> dict[str, str]:
    cells = {"artifact": name, "stage": "student", "format": kind, "miou": miou, "certified": ""}
    return cells | {"size_bytes": size, "gzip_bytes": size, "latency_ms_min": latency} | more


TEACHER = make_row("teacher", "torch", "0.75", "9000", "500", stage="teacher")
STUDENT = make_row("student", "torch", "0.70", "1000", "50")
FILES = [
    make_row("student.fp32.onnx", "onnx", "0.70", "1000", "20", runtime="onnxruntime", precision="fp32"),
    make_row("student.int8.onnx", "onnx", "0.695", "250", "10", runtime="onnxruntime", precision="int8"),
    make_row("student.int8.packed.onnx", "onnx", "0.695", "80", "12", runtime="onnxruntime", precision="int8"),
    make_row("student.fp32.tflite", "tflite", "0.70", "1000", "25", runtime="litert", precision="fp32"),
    make_row("student.int8.tflite", "tflite", "0.696", "260", "8", runtime="litert", precision="int8"),
    make_row("student.bad.tflite", "tflite", "0.68", "100", "5", runtime="litert", precision="int8"),
]


@pytest.fixture
def row():
    return make_row


@pytest.fixture
def teacher():
    return TEACHER


@pytest.fixture
def student():
    return STUDENT


@pytest.fixture
def files():
    return FILES
