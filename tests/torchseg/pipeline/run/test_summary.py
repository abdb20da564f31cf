from __future__ import annotations

from pathlib import Path

from torchseg.harness.format import short_name
from torchseg.harness.report.report import report_html
from torchseg.harness.report.run_record import read_run
from torchseg.harness.runtimes.table import RUNTIMES
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.summary import answer_lines, comparison_lines, summary_lines, table_lines


def test_shares_become_percent_and_empty_cells_a_dash(tmp_path):
    (tmp_path / "scores.csv").write_text(
        "artifact,miou,argmax_agreement,latency_ms_min,size_bytes,certified\n"
        "student.onnx,0.6543,0.99991,3.456,1827000,true\n"
        "broken.onnx,,,,,\n"
    )
    lines = table_lines(tmp_path / "scores.csv")
    assert lines[1].split() == ["student.onnx", "65.43", "99.991", "3.46", "1827", "true"]
    assert lines[2].split() == ["broken.onnx", "-", "-", "-", "-", "-"]


def test_no_table_is_no_line(tmp_path):
    assert table_lines(tmp_path / "scores.csv") == []


def test_threads_are_shown_where_they_differ(tmp_path):
    (tmp_path / "scores.csv").write_text("artifact,runtime,threads\na.onnx,onnxruntime,1\na.onnx,onnxruntime,2\n")
    title, *_ = table_lines(tmp_path / "scores.csv")
    assert title.split()[:2] == ["file", "threads"]


def test_few_images_are_explained_below_the_table_and_an_older_table_says_the_same(tmp_path):
    for words in ("few images", "too few to say"):
        (tmp_path / "scores.csv").write_text(f"artifact,miou,certified\na.onnx,0.5,true\nb.onnx,0.5,{words}\n")
        rows = table_lines(tmp_path / "scores.csv")
        assert rows[2].split()[-2:] == ["few", "images"]
        assert rows[3].startswith("few images: the file computes what its network computes; it was certified on fewer")
    (tmp_path / "scores.csv").write_text("artifact,miou,certified\na.onnx,0.5,true\n")
    assert len(table_lines(tmp_path / "scores.csv")) == 2


def test_a_comparison_is_told_with_its_intervals(tmp_path):
    columns = ["artifact", "runtime", "threads", "against", "speed", "accuracy"]
    columns += [f"{name}{end}" for name in ("latency_ratio", "miou_difference") for end in ("", "_low", "_high")]
    row = ["a.onnx", "onnxruntime", "1", "b.onnx", "faster", "same", 0.5, 0.45, 0.6, -0.001, -0.004, 0.002]
    (tmp_path / "scores.csv").write_text(",".join(columns) + "\n" + ",".join(map(str, row)) + "\n")
    assert comparison_lines(tmp_path / "scores.csv") == [
        "a.onnx (onnxruntime, 1 thread) against b.onnx:\n"
        "  time      0.500 times (0.450 to 0.600): faster\n"
        "  mean IoU  -0.10 points (-0.40 to +0.20): same"
    ]


SCORES = (
    "artifact,stage,format,precision,runtime,miou,latency_ms_min,size_bytes,certified,mean_dice\n"
    "teacher/model.safetensors,teacher,torch,fp32,torch,0.75,10,4000000,,0.8\n"
    "artifacts/student.int8.tflite,student,tflite,int8,litert,0.745,0.5,500000,true,0.79\n"
)


def test_the_last_ten_lines_name_the_file_its_size_speed_up_and_loss(tmp_path):
    (tmp_path / "scores.csv").write_text(SCORES)
    (tmp_path / ".stages").mkdir()
    (tmp_path / "data.json").write_text('{"train": {"pictures": 8}}')
    ran = ["data", "student", "artifacts/student.fp32.onnx", "artifacts/student.int8.tflite", "score"]
    lines = summary_lines(RunFolder(tmp_path), ran, problems=[], seconds=60)
    assert lines[:2] == ["Done in 1.0 minutes: data, student, score", "  artifacts/student: fp32.onnx, int8.tflite"]
    assert any(line.startswith("Note: Some splits have fewer than 20 images (train 8 images)") for line in lines)
    last = "\n".join(lines[-10:])
    for words in (
        "Take artifacts/student.int8.tflite for a phone",
        "8.0 times smaller",
        "20 times faster",
        "0.50 points",
    ):
        assert words in last
    assert max(map(len, lines)) < 200


def test_the_classes_of_the_recommended_file_are_shown_with_their_means(tmp_path):
    (tmp_path / "scores.csv").write_text(SCORES)
    (tmp_path / "per_class.csv").write_text(
        "artifact,runtime,class_index,class,dice,iou,precision,recall\n"
        "teacher/model.safetensors,torch,0,sky,1,1,1,1\n"
        "artifacts/student.int8.tflite,litert,0,sky,0.8,0.6667,0.75,0.85\n"
        "artifacts/student.int8.tflite,litert,1,never,,,,\n"
    )
    lines = answer_lines(read_run(tmp_path), target="smallest")
    assert lines[0].split() == ["student.int8.tflite,", "%", "dice", "iou", "precision", "recall"]
    assert lines[1].split() == ["sky", "80.00", "66.67", "75.00", "85.00"]
    assert lines[2].split() == ["never", "-", "-", "-", "-"]
    assert lines[3].split() == ["mean", "79.00", "74.50", "-", "-"]
    assert "for the least storage" in lines[5]


def test_the_next_command_names_a_file_outside_the_folder_of_the_scores_by_its_path(tmp_path):
    (tmp_path / "scores.csv").write_text(SCORES)
    paths = {"artifacts/student.int8.tflite": Path("elsewhere/student.int8.tflite")}
    lines = answer_lines(read_run(tmp_path), target="smallest", paths=paths)
    assert lines[-1].endswith(f" {paths['artifacts/student.int8.tflite']} IMAGE...")


def test_a_mean_over_a_class_of_few_pixels_is_marked(tmp_path):
    (tmp_path / "scores.csv").write_text(SCORES)
    (tmp_path / "per_class.csv").write_text(
        "artifact,runtime,class_index,class,pixels,dice,iou,precision,recall\n"
        "artifacts/student.int8.tflite,litert,0,sky,5000,0.8,0.6667,0.75,0.85\n"
        "artifacts/student.int8.tflite,litert,1,ring,3,0.5,0.3333,0.5,0.5\n"
        "artifacts/student.int8.tflite,litert,,mean,,0.65,0.5,0.6,0.7\n"
    )
    lines = answer_lines(read_run(tmp_path), target="smallest")
    assert lines[3].split() == ["mean", "*", "65.00", "50.00", "60.00", "70.00"]
    assert lines[4] == "* ring 3 pixels: fewer than 1,000 in the test images"


def test_without_a_file_for_the_target_the_summary_says_so(tmp_path):
    (tmp_path / "scores.csv").write_text(SCORES)
    assert answer_lines(read_run(tmp_path), target="browser")[0].startswith("No file to recommend")


def test_terminal_and_report_name_the_same_files_and_runtimes(tmp_path):
    rows = [("a/student", "torch", "torch"), ("a/net.onnx", "onnx", "onnxruntime"), ("a/net.onnx", "onnx", "openvino")]
    rows += [("a/net.tflite", "tflite", "litert"), ("a/net.keras", "keras", "tensorflow")]
    assert {runtime for *_, runtime in rows} == {*RUNTIMES}
    lines = [f"{file},student,{kind},fp32,{runtime},0.5" for file, kind, runtime in rows]
    (tmp_path / "scores.csv").write_text("artifact,stage,format,precision,runtime,miou\n" + "\n".join(lines) + "\n")
    shown = [line.split()[:2] for line in table_lines(tmp_path / "scores.csv")[1:]]
    assert shown == [[file, runtime] for file, _, runtime in rows]
    page = report_html(read_run(tmp_path))
    for file, runtime in shown:
        assert f'title="{file}">{short_name(file)}<' in page
        assert f'<td data-value="{RUNTIMES[runtime].title}">{RUNTIMES[runtime].title}</td>' in page
