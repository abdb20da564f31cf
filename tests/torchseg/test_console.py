from __future__ import annotations

import logging

import pytest

from torchseg.console import STDERR, STDOUT, console


def test_lines_are_shown_as_plain_text_on_the_stream_of_their_logger(capsys):
    with console():
        STDOUT.info("epoch 1 of 5, 20 % done")
        STDERR.info("scoring: %d/%d", 2, 4)
    assert capsys.readouterr() == ("epoch 1 of 5, 20 % done\n", "scoring: 2/4\n")


def test_a_console_in_another_one_shows_nothing_twice(capsys):
    @console()
    def inner():
        STDOUT.info("once")

    with console():
        inner()
        STDOUT.info("still shown")
    assert capsys.readouterr().out == "once\nstill shown\n"


def test_without_a_command_nothing_is_shown(capsys):
    with console():
        pass
    STDOUT.info("for a log alone")
    assert capsys.readouterr() == ("", "")


def test_warnings_of_other_loggers_go_their_own_way(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    with console():
        logging.getLogger("torchseg.somewhere").warning("look here")
        logging.getLogger("torchseg.somewhere").info("a detail")
    assert capsys.readouterr() == ("", "look here\n")


def test_a_line_that_cannot_be_written_is_an_error(monkeypatch):
    class Closed:
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError), console():
        STDOUT.info("nobody reads this")
