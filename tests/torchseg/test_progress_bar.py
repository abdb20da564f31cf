from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from torchseg import progress_bar
from torchseg.console import STDERR, STDOUT, console
from torchseg.progress_bar import Heartbeat, Progress, duration, heartbeat


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def lines():
    return []


@pytest.fixture
def beat(clock, lines):
    """Advances the clock second by second, and returns what was written meanwhile."""
    pulse = Heartbeat(lines.append, clock=clock, shown=lambda: 0.0)

    def wait(seconds):
        before = len(lines)
        for _ in range(seconds):
            clock.now += 1
            pulse.tick()
        return lines[before:]

    return wait


def test_in_a_pipe_a_plain_line_says_that_all_is_done(capsys):
    with console(), Progress(3, "scoring images") as display:
        display.advance(2)
        display.advance()
    assert capsys.readouterr().err == "scoring images: 3/3\n"


def test_the_first_line_comes_within_two_seconds(beat):
    assert beat(2) == ["  working, 1 s so far"]


def test_no_half_minute_passes_without_a_line(beat):
    beat(2)
    assert all(beat(30) for _ in range(20))


def test_a_long_job_says_how_long_it_still_takes(beat):
    beat(2)
    with Progress(4, "scoring", unit="image") as display:
        display.advance(2)
        assert beat(20) == ["  scoring: 2/4 images, about 19 s left"]


def test_a_resumed_job_judges_by_the_steps_that_it_did_itself(beat):
    beat(1)
    with Progress(400, "teacher", unit="step", done=200) as display:
        assert beat(20) == ["  teacher: 200/400 steps, 20 s so far"]
        display.advance(50)
        assert beat(20) == ["  teacher: 250/400 steps, about 2 min left"]


def test_a_job_without_known_steps_says_how_long_it_has_taken(beat):
    beat(1)
    with Progress(0, "artifacts/student.int8.tflite"):
        assert beat(20) == ["  artifacts/student.int8.tflite: 20 s so far"]
        with Progress(0, "layers in float", unit="choice") as inner:
            inner.advance(3)
            assert beat(20) == ["  layers in float: 3 choices, 20 s so far"]
        assert beat(20) == ["  artifacts/student.int8.tflite: 60 s so far"]


def test_what_a_command_shows_is_a_line_too(clock, lines, capsys):
    pulse = Heartbeat(lines.append, clock=clock)
    with console():
        clock.now = 0.5
        for logger in (STDOUT, STDERR) * 5:
            logger.info("a stage ended")
            clock.now += 19
            pulse.tick()
    assert lines == []


def test_a_bar_is_not_torn_by_lines(beat, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Progress(4, "scoring"):
        assert beat(60) == []
    assert beat(20) != []


def test_redirected_streams_do_not_swallow_the_line(tmp_path):
    """As the converters redirect them, for as long as they take."""
    program = """
import os, time
from torchseg import progress_bar
progress_bar._FIRST_LINE_S = 0.2
with progress_bar.heartbeat(), progress_bar.Progress(0, "converting"):
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1), os.dup2(sink, 2)
    time.sleep(1.2)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"  converting: \d s so far\n", done.stderr)


def test_the_other_processes_of_a_training_stay_quiet(monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(progress_bar, "_FIRST_LINE_S", 0.0)
    with heartbeat():
        time.sleep(0.7)
    assert capsys.readouterr().err == ""


def test_a_reader_who_has_gone_does_not_end_the_work(monkeypatch):
    class Closed:
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Closed())
    monkeypatch.setattr(progress_bar, "_FIRST_LINE_S", 0.0)
    with heartbeat():
        time.sleep(0.7)


def test_durations_are_told_in_the_unit_that_fits():
    assert [duration(seconds) for seconds in (40, 720, 12600)] == ["40 s", "12 min", "3.5 h"]
