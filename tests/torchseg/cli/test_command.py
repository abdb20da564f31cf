from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from torchseg.cli.command import config_from, config_of, other_command, run_command
from torchseg.config import TrainConfig
from torchseg.trusted_code import is_trusted


@dataclass(frozen=True, kw_only=True)
class _Config:
    """Counts things.

    Attributes:
        file: What to count.
        times: How often.
        loud: Shout.
        word: What to say.
        others: Further files.
    """

    file: Path = field(metadata={"positional": ""})
    times: int = 1
    loud: bool = False
    word: str = ""
    others: list[Path] = field(default_factory=list, metadata={"nargs": "+"})

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"times is {self.times}; count at least once")


def test_flags_positions_and_switches_reach_the_job():
    seen = []
    assert run_command(_Config, lambda config: seen.append(config) or 0, ["a.txt", "--times", "3", "--loud"]) == 0
    assert seen == [_Config(file=Path("a.txt"), times=3, loud=True)]


@pytest.mark.parametrize(("text", "word"), [("96", "96"), ("96,128", "96,128"), ("0.5", "0.5"), ("10%", "10%")])
def test_a_text_in_a_file_of_flags_may_look_like_a_number(text, word, tmp_path):
    (tmp_path / "flags.yaml").write_text(f"word: {text}\n")
    seen = []
    assert run_command(_Config, lambda config: seen.append(config.word) or 0, ["--config", "flags.yaml", "a.txt"]) == 0
    assert seen == [word]


def test_a_list_is_no_text(tmp_path, capsys):
    (tmp_path / "flags.yaml").write_text("word: [1, 2]\n")
    assert run_command(_Config, lambda _: 0, ["--config", "flags.yaml", "a.txt"]) == 2
    assert "expected a text, so put it in quotes" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["-1-1", "-0.5,0.5,1", "-.5", "0-1"])
def test_a_value_may_begin_with_a_minus(word):
    seen = []
    assert run_command(_Config, lambda config: seen.append(config) or 0, ["a.txt", "--word", word, "--loud"]) == 0
    assert seen == [_Config(file=Path("a.txt"), word=word, loud=True)]


def test_a_flag_may_take_several_files():
    seen = []
    assert run_command(_Config, lambda config: seen.append(config) or 0, ["a.txt", "--others", "b", "c"]) == 0
    assert seen == [_Config(file=Path("a.txt"), others=[Path("b"), Path("c")])]


def test_a_file_of_flags_can_be_read_and_written(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_command(_Config, lambda _: 0, ["a.txt", "--times", "4", "--print_config"])
    assert stopped.value.code == 0
    written = capsys.readouterr().out
    (tmp_path / "flags.yaml").write_text(written)
    seen = []
    assert run_command(_Config, lambda config: seen.append(config) or 0, ["--config", "flags.yaml", "b.txt"]) == 0
    assert (seen[0].times, seen[0].file) == (4, Path("b.txt"))


@pytest.mark.parametrize("error", [ValueError("too round"), FileNotFoundError("not there"), ImportError("no extra")])
def test_wrong_input_is_one_message_and_two(error, capsys):
    def job(_: _Config) -> int:
        raise error

    assert run_command(_Config, job, ["a.txt"]) == 2
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize("flag", ["--no_loud", "--no-loud"])
def test_a_switch_in_a_file_of_flags_is_undone_on_the_command_line(tmp_path, monkeypatch, flag):
    monkeypatch.chdir(tmp_path)
    Path("flags.yaml").write_text("loud: true\n")
    seen: list[bool] = []
    for more in ([], [flag]):
        assert (
            run_command(_Config, lambda config: seen.append(config.loud) or 0, ["--config", "flags.yaml", "a", *more])
            == 0
        )
    assert seen == [True, False]


def test_a_config_that_refuses_itself_is_wrong_input(capsys):
    assert run_command(_Config, lambda _: 0, ["a.txt", "--times", "0"]) == 2
    assert "times is 0; count at least once" in capsys.readouterr().err


def test_mistakes_of_the_package_keep_their_traceback():
    def job(_: _Config) -> int:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        run_command(_Config, job, ["a.txt"])


def test_stopping_is_not_an_error_message(capsys):
    def job(_: _Config) -> int:
        raise KeyboardInterrupt

    assert run_command(_Config, job, ["a.txt"]) == 130
    assert "run the same command to resume" in capsys.readouterr().err


@pytest.mark.heartbeat
def test_a_command_that_says_nothing_is_not_silent(capsys, monkeypatch):
    monkeypatch.setattr("torchseg.progress_bar._FIRST_LINE_S", 0.0)
    assert run_command(_Config, lambda _: time.sleep(0.7) or 0, ["a.txt"]) == 0
    assert re.fullmatch(r"  working, \d s so far\n", capsys.readouterr().err)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_that_lacks_a_letter_shows_its_number_and_the_command_goes_on(encoding, monkeypatch):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)

    def job(config):
        print("道路")
        raise ValueError("there is no class 天空")

    assert run_command(_Config, job, ["a.txt"]) == 2
    shown = [stream.buffer.getvalue() for stream in (out, err) if not stream.flush()]
    assert shown == [b"\\u9053\\u8def\n", b"error: there is no class \\u5929\\u7a7a\n"]


def test_an_argument_that_the_locale_cannot_read_is_refused(capsys):
    assert run_command(_Config, lambda _: 0, ["stra\udcffe"]) == 2
    assert "has bytes that are not utf-8, the encoding of this locale; set PYTHONUTF8=1" in capsys.readouterr().err


def test_a_file_of_flags_is_utf8_whatever_the_locale(tmp_path):
    (tmp_path / "flags.yaml").write_text("word: Maß  # größer\n", encoding="utf-8-sig")
    code = (
        "from test_command import _Config, run_command\nrun_command(_Config, lambda each: print(ascii(each.word)) or 0)"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": paths}
    command = [sys.executable, "-c", code, "--config", "flags.yaml", "a.txt"]
    output = subprocess.run(command, capture_output=True, env=os.environ | ascii_only, check=True)
    assert output.stdout.decode().strip() == r"'Ma\xdf'"


@pytest.mark.parametrize(
    ("called", "other", "usage"),
    [
        ("scripts/count.py", "python scripts/predict.py", "usage: count.py "),
        ("/env/bin/torchseg", "torchseg predict", "usage: torchseg count "),
        ("/env/torchseg/__main__.py", "torchseg predict", "usage: torchseg count "),
    ],
)
def test_help_and_advice_name_commands_as_they_are_called_here(called, other, usage, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [called, "count"])
    assert other_command("predict") == other
    with pytest.raises(SystemExit, match="0"):
        run_command(_Config, lambda _: 0, ["--help"])
    assert capsys.readouterr().out.startswith(usage)


@dataclass(frozen=True, kw_only=True)
class _Renamed:
    """Counts words.

    Attributes:
        most: Words that are counted at most.
        fast: Skip the slow ones.
    """

    most: int = field(default=3, metadata={"was": "limit"})
    fast: bool = field(default=False, metadata={"was": "quick"})


def test_an_old_name_of_a_flag_works_and_names_the_new_one(tmp_path, capsys):
    (tmp_path / "flags.yaml").write_text("limit: 7\nquick: true\n", encoding="utf-8")
    for argv in (["--limit", "7", "--quick"], ["--config", "flags.yaml"]):
        assert run_command(_Renamed, lambda config: 0 if config == _Renamed(most=7, fast=True) else 1, argv) == 0
        warnings = capsys.readouterr().err.splitlines()
        assert warnings[0] == "warning: limit is called most now; the old name will be removed in the next release"
        assert "quick is called fast now" in warnings[1]


def test_an_old_name_is_not_shown_and_a_new_one_asks_for_no_warning(capsys):
    assert run_command(_Renamed, lambda config: 0 if config.most == 7 else 1, ["--most", "7"]) == 0
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit, match="0"):
        run_command(_Renamed, lambda _: 0, ["--help"])
    assert "limit" not in capsys.readouterr().out


def test_a_file_of_flags_cannot_trust_code(capsys):
    Path("flags.yaml").write_text(f"trust_code: {'0' * 64}\n")
    assert run_command(_Config, lambda _: 0, ["--config", "flags.yaml", "a.txt"]) == 2
    assert "trust_code stands in a file of flags or a recipe; give it on the command line" in capsys.readouterr().err


def test_a_recipe_cannot_trust_code():
    with pytest.raises(ValueError, match="trust_code stands in a file of flags or a recipe"):
        config_of(TrainConfig, {"epochs": "2", "trust_code": "0" * 64})
    with pytest.raises(ValueError, match="there is no option 'trust_code'"):
        config_from(_Config, {"file": "a.txt", "trust_code": "0" * 64})


def test_a_command_trusts_the_code_that_it_names_while_it_runs():
    seen = []
    argv = ["a.txt", "--trust_code", "0" * 64]
    assert run_command(_Config, lambda _: seen.append(is_trusted("0" * 64)) or 0, argv) == 0
    assert seen == [True]
    assert not is_trusted("0" * 64)
