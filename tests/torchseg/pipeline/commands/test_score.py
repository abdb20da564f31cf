from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tf_bridge.certify.certificate import write_certificate
from tf_bridge.onnx.export import export_onnx
from tf_bridge.tflite.export import export_tflite
from torchseg.checkpoint import WEIGHTS, Card, save_checkpoint, sha256_of
from torchseg.config import ScoreConfig
from torchseg.data import open_data
from torchseg.harness.runtimes.registry import new_runtime
from torchseg.harness.runtimes.table import RUNTIMES
from torchseg.modelfile.run_options import RunOptions
from torchseg.models import build_model
from torchseg.pipeline.commands.score import plan_scores, score_files, single_artifact
from torchseg.pipeline.run.installed import check_runtimes
from torchseg.spec import ImageSpec

CLASSES = open_data("scenes", None, size=(16, 16)).classes
SPEC = ImageSpec(height=16, width=16, classes=CLASSES)


def save_onnx(path: Path, *, size: int = 16, texts: dict[str, str] | None = None) -> Path:
    """One 1x1 convolution from colours to classes, with these texts inside."""
    kernel = numpy_helper.from_array(np.zeros((len(CLASSES), 3, 1, 1), np.float32), "w")
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(CLASSES), size, size])
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", [image], [answer], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    for key, text in (texts or {}).items():
        model.metadata_props.add(key=key, value=text)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


@pytest.fixture
def run(tmp_path, passed_certificate):
    """A run on small scenes with one checkpoint and one certified file."""
    folder = tmp_path / "run"
    arguments = {"base_width": 2, "depth": 1}
    model = build_model("small_unet", arguments, SPEC, seed=0)
    save_checkpoint(
        model, Card(builder="small_unet", spec=SPEC, stage="student", arguments=arguments), folder / "student"
    )
    (folder / "config.yaml").write_text("data: scenes\nimage_size: '16'\n")
    path = save_onnx(folder / "artifacts/student.int8.onnx")
    hashes = {"sha256": sha256_of(path), "checkpoint_sha256": sha256_of(folder / "student" / WEIGHTS)}
    sides = {"height": 16, "width": 16}
    write_certificate(path, passed_certificate(version=1, file=path.name, **hashes, preprocessing=sides))
    return folder


def test_a_run_is_all_its_files_on_its_own_pictures(run):
    plan = plan_scores(ScoreConfig(files=[run]))
    assert [(each.stage, each.format, each.precision) for each in plan.artifacts] == [
        ("student", "torch", "fp32"),
        ("student", "onnx", "int8"),
    ]
    assert (plan.out, plan.is_run, plan.spec) == (run, True, SPEC)
    assert plan.samples[0].picture.shape == (16, 16, 3)


def test_a_file_of_a_run_brings_its_pictures_checkpoint_and_certificate(run):
    plan = plan_scores(ScoreConfig(files=[run / "artifacts/student.int8.onnx"]))
    (artifact,) = plan.artifacts
    assert (artifact.stage, artifact.precision, artifact.certified) == ("student", "int8", True)
    assert artifact.reference_folder == (run / "student").resolve()
    assert not plan.is_run


def test_a_file_from_elsewhere_needs_pictures(tmp_path):
    mine = save_onnx(tmp_path / "mine.onnx")
    with pytest.raises(ValueError, match=r"mine\.onnx is not in a run folder.*give --data NAME and --root FOLDER"):
        plan_scores(ScoreConfig(files=[mine]))
    plan = plan_scores(ScoreConfig(files=[mine], data="scenes"))
    assert (plan.artifacts[0].stage, plan.artifacts[0].precision) == ("mine", "")
    assert (plan.spec.height, plan.spec.width) == (16, 16)  # what the file takes
    assert plan.out == Path("runs/scores")


def test_a_file_is_fed_as_it_says_itself_before_the_flags_are_asked(tmp_path):
    texts = {"classes": json.dumps(CLASSES), "mean": "[0.0, 0.0, 0.0]", "std": "[1.0, 1.0, 1.0]", "precision": "fp16"}
    ours = save_onnx(tmp_path / "ours.onnx", texts={f"torchseg.{key}": text for key, text in texts.items()})
    other = save_onnx(tmp_path / "other.onnx", size=32)
    flags = {"data": "scenes", "mean": "0.5,0.5,0.5", "std": "0.5,0.5,0.5"}
    plan = plan_scores(ScoreConfig(files=[ours, other], **flags))
    first, second = plan.artifacts
    assert first.precision == "fp16"
    assert (first.spec.mean, first.spec.height) == ((0, 0, 0), 16)
    assert (second.spec.mean, second.spec.height) == ((0.5, 0.5, 0.5), 32)
    assert (plan.spec.height, plan.spec.width) == (32, 32)  # the largest: no file is judged on less than it sees


def test_flags_for_foreign_files_leave_those_of_this_project_alone(tmp_path, caplog):
    texts = {"classes": json.dumps(CLASSES), "mean": "[0.0, 0.0, 0.0]", "std": "[1.0, 1.0, 1.0]"}
    ours = save_onnx(tmp_path / "ours.onnx", texts={f"torchseg.{key}": text for key, text in texts.items()})
    other = save_onnx(tmp_path / "other.onnx")
    flags = {"data": "scenes", "scaling": "-1-1", "colour_order": "BGR", "output": "y", "output_kind": "logit"}
    first, second = plan_scores(ScoreConfig(files=[ours, other], **flags)).artifacts
    assert first.options == RunOptions()
    assert second.options == RunOptions(colour_order="BGR", output="y", kind="logit")
    assert second.spec.mean == (0.5, 0.5, 0.5)
    assert not caplog.records


def test_a_scaling_that_is_only_assumed_is_said(tmp_path, caplog):
    plan_scores(ScoreConfig(files=[save_onnx(tmp_path / "other.onnx")], data="scenes"))
    assert "other.onnx does not say how its images are scaled" in caplog.text


def test_an_assumed_scaling_of_many_files_is_one_warning(tmp_path, caplog):
    files = [save_onnx(tmp_path / f"net{number:02d}.onnx") for number in range(12)]
    plan_scores(ScoreConfig(files=files, data="scenes", runtimes="onnxruntime,openvino"))
    (record,) = caplog.records
    assert "net07.onnx and 4 more do not say how their images are scaled" in record.getMessage()


def test_a_file_of_whole_numbers_gets_the_picture_as_it_is(tmp_path):
    image = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3, 16, 16])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 16, 16])
    graph = helper.make_graph([helper.make_node("Cast", ["x"], ["y"], to=1)], "g", [image], [answer])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "pixels.onnx")
    plan = plan_scores(ScoreConfig(files=[tmp_path / "pixels.onnx"], data="scenes", mean="0,0,0", std="1,1,1"))
    spec, picture = plan.artifacts[0].spec, plan.samples[0].picture
    np.testing.assert_allclose(spec.prepare(picture[None])[0], picture.transpose(2, 0, 1), rtol=1e-6)


def test_every_runtime_that_takes_a_file_and_every_thread_count_is_a_row(run):
    config = ScoreConfig(files=[run], runtimes="onnxruntime,openvino,torch", thread_counts="1,2")
    rows = [(each.format, each.runtime, each.threads) for each in plan_scores(config).artifacts]
    expected = [("torch", "torch"), ("onnx", "onnxruntime"), ("onnx", "openvino")]
    assert rows == [(*pair, threads) for pair in expected for threads in (1, 2)]


def test_a_runtime_is_known_everywhere_by_its_entry_in_the_table(run, monkeypatch):
    entry = replace(RUNTIMES["onnxruntime"], title="Another", formats=("torch", "onnx"))
    monkeypatch.setitem(RUNTIMES, "another", entry)
    plan = plan_scores(ScoreConfig(files=[run], runtimes="another"))
    assert [(each.format, each.runtime) for each in plan.artifacts] == [("torch", "another"), ("onnx", "another")]
    assert new_runtime("another", threads=1).describe().name == "onnxruntime"
    with pytest.raises(ValueError, match="choose from torch, onnxruntime, litert, openvino, tensorflow, another"):
        ScoreConfig(runtimes="unknown")

    monkeypatch.setitem(RUNTIMES, "another", replace(entry, library="another_library", extra="more"))
    with pytest.raises(ImportError, match=r"running in Another needs another-library: .*\[more\]"):
        check_runtimes(["another"])


def test_runtimes_that_take_no_file_are_refused(run):
    with pytest.raises(ValueError, match="no file runs in litert; leave --runtimes out"):
        plan_scores(ScoreConfig(files=[run], runtimes="litert"))


def test_the_file_to_compare_with_comes_first_and_once(run):
    exported = run / "artifacts/student.int8.onnx"
    plan = plan_scores(ScoreConfig(files=[run], against=exported))
    assert [each.format for each in plan.artifacts] == ["onnx", "torch"]
    assert all(each.baseline_folder == exported.resolve() for each in plan.artifacts)
    with pytest.raises(ValueError, match=r"--against .* holds 2 model files; name one of them"):
        plan_scores(ScoreConfig(files=[exported], against=run))


def test_pictures_of_other_classes_are_refused(run, tmp_path):
    other = ImageSpec(height=16, width=16, classes=("cat", "dog"))
    arguments = {"base_width": 2, "depth": 1}
    card = Card(builder="small_unet", spec=other, stage="pets", arguments=arguments)
    save_checkpoint(build_model("small_unet", arguments, other, seed=0), card, tmp_path / "pets")
    with pytest.raises(ValueError, match=r"has 2 classes \(cat, dog\) and the data has 5"):
        plan_scores(ScoreConfig(files=[tmp_path / "pets"], data="scenes"))


@pytest.mark.parametrize(
    ("name", "message"), [("gone.onnx", "there is no file"), ("notes.txt", "is not a model file; give a checkpoint")]
)
def test_what_is_no_model_is_refused(name, message, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match=message):
        single_artifact(tmp_path / name)


def test_without_any_file_the_command_says_what_to_give():
    with pytest.raises(ValueError, match="no file is named; give a run's folder or model files"):
        plan_scores(ScoreConfig(files=[]))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_another_split_is_scored_at_the_size_of_the_test_images_and_into_another_folder(split, run, tmp_path):
    plan = plan_scores(ScoreConfig(files=[run], on_split=split, out=tmp_path / "other"))
    assert plan.out == tmp_path / "other"
    source = getattr(open_data("scenes", None, size=(16, 16)), split)
    assert len(plan.samples) == len(source)
    assert [plan.samples[at].name for at in (0, 1)] == [source[at].name for at in (0, 1)]
    assert plan.samples[0].picture.shape == (16, 16, 3)


def test_scores_of_another_split_replace_no_tables_of_the_test_split(run, tmp_path):
    with pytest.raises(
        ValueError, match=r"on_split is train, and the tables of a run are.*e\.g\. --out runs/scores_tr"
    ):
        ScoreConfig(files=[run], on_split="train")
    with pytest.raises(ValueError, match=r"run is a run, whose tables are those of its test split; .* train split"):
        plan_scores(ScoreConfig(files=[run], on_split="train", out=run))
    out = tmp_path / "tables"
    out.mkdir()
    for there, asked in (("", "validation"), ("test", "train"), ("train", "test"), ("train", "validation")):
        (out / "scores.csv").write_text(f"artifact,split\na.onnx,{there}\n")
        with pytest.raises(
            ValueError, match=rf"holds scores of the {there or 'test'} split, which those of the {asked}"
        ):
            plan_scores(ScoreConfig(files=[run], on_split=asked, out=out))
    plan_scores(ScoreConfig(files=[run], on_split="train", out=out))


def test_an_empty_run_has_nothing_to_score(tmp_path):
    (tmp_path / "config.yaml").write_text("data: scenes\n")
    with pytest.raises(ValueError, match="holds no checkpoint and no exported file yet"):
        plan_scores(ScoreConfig(files=[tmp_path]))


@pytest.mark.slow
@pytest.mark.tflite
def test_scoring_reads_the_description_of_each_file_once(tmp_path, monkeypatch, time_quickly):
    pytest.importorskip("tensorflow")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    network, files = nn.Conv2d(3, len(CLASSES), 1), [tmp_path / "net.onnx", tmp_path / "net.tflite"]
    export_onnx(network, SPEC, files[0])
    export_tflite(network, SPEC, files[1])
    reads, load, unpack = [], onnx.load, schema.Model.GetRootAsModel
    monkeypatch.setattr(onnx, "load", lambda path, **options: reads.append(Path(path)) or load(path, **options))
    monkeypatch.setattr(
        schema.Model, "GetRootAsModel", lambda content, offset: reads.append(files[1]) or unpack(content, offset)
    )
    time_quickly(monkeypatch)
    config = ScoreConfig(files=files, data="scenes", out=tmp_path / "out")
    assert score_files(config).failures == []
    assert sorted(reads) == files
