from __future__ import annotations

from torchseg.console import console
from torchseg.harness.progress_bar import Progress


def test_in_a_pipe_a_plain_line_says_that_all_is_done(capsys):
    with console(), Progress(3, "scoring images") as display:
        display.advance(2)
        display.advance()
    assert capsys.readouterr().err == "scoring images: 3/3\n"


def test_a_long_job_says_how_long_it_still_takes(capsys, monkeypatch):
    seconds = iter([0.0, 20.0])
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    with console():
        Progress(4, "scoring").advance(2)
    assert capsys.readouterr().err == "scoring: 2/4, about 20 s left\n"
