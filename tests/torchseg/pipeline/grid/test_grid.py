from __future__ import annotations

from torchseg.pipeline.grid.grid import GridProgress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_time_left_follows_the_work_that_is_left():
    clock, lines = Clock(), []
    progress = GridProgress({"large": 3.0, "small": 1.0}, clock=clock, print_line=lines.append)
    clock.now = 600
    progress.end("large", failed=0)
    clock.now = 700
    progress.end("small", failed=2)
    assert lines == [
        "trained and exported 1 of 2: large, about 3 min left",
        "trained and exported 2 of 2: small (2 of its files FAILED)",
    ]


def test_now_and_then_the_last_line_of_a_log_is_repeated_once(tmp_path):
    clock, lines, log = Clock(), [], tmp_path / "a.log"
    progress = GridProgress({"a": 1.0}, clock=clock, print_line=lines.append)
    log.write_text("  trained: epoch 1 of 9\n")
    progress.beat({"a": log})
    assert lines == []
    for clock.now in (40, 80):
        progress.beat({"a": log, "waiting": tmp_path / "none.log"})
    log.write_text("$ torchseg export x --formats=onnx\n")
    clock.now = 120
    progress.beat({"a": log})
    assert lines == ["  a: trained: epoch 1 of 9", "  a: export has begun"]
