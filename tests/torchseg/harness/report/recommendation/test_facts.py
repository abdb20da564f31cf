from __future__ import annotations

from torchseg.harness.report.recommendation.facts import facts, headline
from torchseg.harness.report.recommendation.recommend import recommend

TORCH = {"runtime": "torch"}


def test_every_number_names_both_ends(teacher, student, files):
    rows = [teacher | TORCH, student | TORCH, *files[:4], files[4] | {"certified": "true", "argmax_agreement": "0.999"}]
    found = recommend(rows)
    assert found
    assert facts(found) == {
        "size": "0.3 kB, 35 times smaller than the teacher (9.0 kB)",
        "speed": "8.00 ms in LiteRT, 62 times faster than the teacher in PyTorch (500 ms): "
        "10 from the smaller network, 2.0 from LiteRT, 3.1 from int8",
        "accuracy": "69.60 % mean IoU, 5.40 points less than the teacher (75.00 %)",
        "certificate": "holds: the file computes what its network computes (99.90 % of test pixels get the same class)",
        "why": "the fastest TFLite file within 1 point of mean IoU of the student (70.00 %)",
        "others": "smallest student.int8.packed.onnx (0.1 kB); most accurate student.fp32.onnx (70.00 %)",
    }
    assert headline(found).startswith(
        "**35 times smaller, 62 times faster, 5.40 points less mean IoU**: "
        "`student.int8.tflite` (0.3 kB, 8.00 ms, 69.60 %), the fastest TFLite file"
    )


def test_a_certificate_on_few_images_holds_and_leaves_open_how_much_accuracy_is_lost(row, student):
    known = {"runtime": "onnxruntime", "certified": "few images", "argmax_agreement": "0.999"}
    found = recommend([student | TORCH, row("a.onnx", "onnx", "0.70", "10", "1", **known)])
    assert found
    assert facts(found)["certificate"] == (
        "holds: the file computes what its network computes (99.90 % of test pixels get the same class); too few "
        "validation images to say how much accuracy it loses"
    )


def test_a_speed_up_that_was_timed_on_a_busy_machine_is_called_rough(teacher, student, files):
    found = recommend([teacher | TORCH | {"noisy": "true"}, student | TORCH, *files])
    assert found
    assert facts(found)["speed"].endswith(
        ": 10 from the smaller network, 2.0 from LiteRT, 3.1 from int8; "
        "rough: something else used the machine while the teacher ran"
    )
    assert "The speed-up is rough: something else used the machine while the teacher ran." in headline(found)
    calm = recommend([each | {"noisy": "false"} for each in (teacher | TORCH, student | TORCH, *files)])
    assert calm
    assert "rough" not in facts(calm)["speed"] + headline(calm)


def test_a_file_that_is_worse_is_not_praised(row, student):
    found = recommend([student | TORCH, row("a.onnx", "onnx", "0.65", "2000", "100", runtime="onnxruntime")])
    assert found
    words = facts(found)
    assert "2.0 times larger than the student" in words["size"]
    assert "2.0 times slower than the student in PyTorch" in words["speed"]
    assert words["certificate"].startswith("none")
    assert words["why"].startswith("the most accurate file for a server's CPU, as none is within 1 point")
