from __future__ import annotations

import pytest

from torchseg.models import build_model, count_parameters, multiply_adds
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.students import measure
from torchseg.pipeline.students.measure import FILES, Meter
from torchseg.pipeline.students.table import TABLE
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=24, classes=("sky", "road", "car"))


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "measured")


@pytest.mark.slow
def test_each_student_gets_a_file_and_a_row(tiny_students, folder):
    tiny_students.pop("wide")
    rows = Meter(SPEC, folder).rows(["onnx"])
    assert [row.student for row in rows] == ["narrow", "deep"]
    for row in rows:
        network = build_model(row.model, tiny_students[row.student].arguments, SPEC)
        file = folder.path / FILES / f"{row.student}.16x24x3.int8.onnx"
        assert (row.multiply_adds, row.parameters) == (multiply_adds(network, SPEC), count_parameters(network))
        assert row.size_kb == file.stat().st_size / 1e3
        assert 0 < row.latency_ms_min <= row.latency_ms_median
        assert row.gmac_per_s == pytest.approx(row.multiply_adds / row.latency_ms_min / 1e6, rel=0.01)
        assert (row.runtime, row.classes) == ("onnxruntime", 3)


def test_only_what_is_missing_is_measured(tiny_students, quick_students, folder, monkeypatch):
    deep = tiny_students.pop("deep")
    first = Meter(SPEC, folder).rows(["onnx"])
    tiny_students["deep"] = deep
    assert Meter(SPEC, folder).rows(["onnx"])[:2] == first
    assert Meter(SPEC, folder).rows(["onnx"])[:2] == first
    monkeypatch.setattr(measure, "package_version", lambda name: "new")
    Meter(SPEC, folder).rows(["onnx"])
    assert quick_students == [2, 1, 3]


def test_files_of_an_interrupted_measurement_serve_the_next(quick_students, folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(measure, "measure_latency", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            Meter(SPEC, folder).rows(["onnx"])
    assert not (folder.path / TABLE).exists()
    monkeypatch.setattr("tf_bridge.conversion.Conversion.write", None)
    assert len(Meter(SPEC, folder).rows(["onnx"])) == 3


def _interrupted(*_, **__):
    raise KeyboardInterrupt


def test_students_that_do_not_take_the_size_are_left_out(quick_students, folder):
    odd = ImageSpec(height=18, width=24, classes=("a", "b"))
    assert [row.student for row in Meter(odd, folder).rows(["onnx"])] == ["narrow", "wide"]
    odd = ImageSpec(height=17, width=24, classes=("a", "b"))
    with pytest.raises(ValueError, match="no student takes images of 17x24; give sides that are multiples of 16"):
        Meter(odd, folder).rows(["onnx"])


@pytest.mark.slow
@pytest.mark.tflite
def test_both_formats_are_measured(tiny_students, folder):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tf]'")
    tiny_students.pop("wide")
    rows = Meter(SPEC, folder).rows(["onnx", "tflite"])
    assert [(row.student, row.format) for row in rows] == [
        (name, kind) for name in tiny_students for kind in ("onnx", "tflite")
    ]
    assert {row.runtime for row in rows} == {"onnxruntime", "litert"}
