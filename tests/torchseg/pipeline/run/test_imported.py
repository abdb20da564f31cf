from __future__ import annotations

import pytest

from tf_bridge.certify.certificate import write_certificate
from torchseg.checkpoint import sha256_of
from torchseg.pipeline.run.imported import (
    FOLDER,
    Imported,
    all_imported,
    read_imported,
    sha256_of_model,
    write_imported,
)
from torchseg.pipeline.stages.scoring import imported_artifacts
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=8, width=8, classes=("a", "b"), mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture
def run(tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / "artifacts").mkdir()
    return tmp_path


def imported(stage, kind, file):
    return Imported(
        stage=stage, kind=kind, file=f"{FOLDER}/{file}", sha256="0", precision="fp32", output="logits", spec=SPEC
    )


def test_a_card_comes_back_as_it_was_written(run):
    card = imported("net", "keras", "net.keras")
    write_imported(card, run)
    assert read_imported(run, "net") == card
    assert read_imported(run, "other") is None
    assert list(all_imported(run)) == [card]


@pytest.mark.parametrize("text", ["", "{}", '{"spec": 3}', '{"spec": {"height": 8}}'])
def test_a_damaged_card_is_named(text, run):
    (run / FOLDER / "net.json").write_text(text)
    with pytest.raises(ValueError, match=r"net\.json is damaged: .*; import the model again"):
        read_imported(run, "net")


def test_a_tflite_original_is_scored_as_well_and_is_what_the_onnx_file_is_held_against(run, passed_certificate):
    write_imported(imported("lite", "tflite", "lite.int8.tflite"), run)
    write_imported(imported("net", "keras", "net.keras"), run)
    for name in ("lite.fp32.onnx", "net.fp32.onnx"):
        (run / "artifacts" / name).touch()
    digest = sha256_of(run / "artifacts/net.fp32.onnx")
    certificate = passed_certificate(version=1, file="net.fp32.onnx", sha256=digest)
    write_certificate(run / "artifacts/net.fp32.onnx", certificate)
    original, made, other = imported_artifacts(run)
    assert (original.path, original.precision, original.reference) == (run / FOLDER / "lite.int8.tflite", "int8", None)
    assert (made.path.name, made.reference, made.certified) == ("lite.fp32.onnx", original.path, None)
    assert (other.path.name, other.reference, other.certified) == ("net.fp32.onnx", None, True)
    assert {each.spec for each in (original, made, other)} == {SPEC}


def test_a_folder_has_a_hash_of_all_that_is_in_it(tmp_path):
    (tmp_path / "a").write_text("1")
    before = sha256_of_model(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b").write_text("2")
    assert len({before, sha256_of_model(tmp_path), sha256_of_model(tmp_path / "a")}) == 3


@pytest.mark.parametrize("name", ["lite", "lite.tflite"])
def test_an_original_without_a_precision_in_its_name_has_that_of_its_record(name, run):
    write_imported(imported("lite", "tflite", name), run)
    assert [each.precision for each in imported_artifacts(run)] == ["fp32"]
