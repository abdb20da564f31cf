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


def test_of_many_warnings_of_a_kind_the_first_are_shown_and_the_others_counted(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    log = logging.getLogger("torchseg.somewhere")
    with console():
        for number in range(200):
            log.warning("file %d is odd", number)
        log.warning("another kind")
    expected = ["file 0 is odd", "file 1 is odd", "file 2 is odd", "another kind", "197 more like: file 0 is odd"]
    assert capsys.readouterr().err.splitlines() == expected
    log.warning("after the command")
    assert capsys.readouterr().err == "after the command\n"
