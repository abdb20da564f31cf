"""The commands of the tutorials, in miniature, and what they say that these print."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from torchseg.data.datasets.scenes import draw_scene
from torchseg.trusted_code import VARIABLE

PAGES = Path(__file__).parents[2] / "docs" / "tutorial"
PAGE, ADOPTING = PAGES / "your-own-images.md", PAGES / "adopt-a-network.md"
NETWORK = """
from torch import nn


class UNet(nn.Sequential):
    def __init__(self, n_channels, n_classes):
        super().__init__(nn.Conv2d(n_channels, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, n_classes, 1))
"""
CLASSES = "background\nleaf\n"
SMALLER = {  # appended, so they win
    "distill": [
        *("--image_size", "32", "--batch_size", "8", "--workers", "0", "--teacher", "small_unet"),
        *("--teacher_arguments", "base_width=16,depth=1", "--student_arguments", "base_width=16,depth=4"),
        *("--epochs", "1", "--teacher_epochs", "1", "--prune_epochs", "9", "--cluster_epochs", "1"),
        *("--formats", "tflite", "--precisions", "int8", "--threads", "1"),
    ],
    "export": ["--threads", "1", "--workers", "0"],
    "predict": ["--threads", "1"],
}


ADOPTED_SMALLER = {
    "adopt": ["--threads", "1"],
    "compress": [
        *("--batch_size", "8", "--workers", "0", "--threads", "1", "--prune_epochs", "9", "--cluster_epochs", "1"),
    ],
    "export": ["--threads", "1", "--workers", "0"],
    "score": ["--thread_counts", "1"],
    "predict": ["--threads", "1"],
}


def blocks_of(page):
    """Pairs of language and text of the fenced blocks, in order."""
    return re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"))


def pattern_of(line):
    """A line of expected output; `...` stands for anything."""
    return ".*".join(re.escape(each) for each in line.split("..."))


@pytest.fixture
def folder():
    """What a reader has before the first command: thirty images with masks of two classes, and two photos."""
    for name in ("mine/images", "mine/masks", "photos"):
        Path(name).mkdir(parents=True)
    for number in range(32):
        picture, mask = draw_scene(32, 32, np.random.default_rng(number))
        if number < 30:
            Image.fromarray(picture).save(f"mine/images/p{number}.png")
            Image.fromarray((mask > 0).astype(np.uint8)).save(f"mine/masks/p{number}.png")
        else:
            Image.fromarray(picture).resize((50, 40)).save(f"photos/p{number}.png")


def test_the_tutorial_has_the_classes_of_this_test():
    assert ("text", CLASSES) in blocks_of(PAGE)


def run_page(page, smaller, monkeypatch, capsys):
    """Runs the page's commands with flags that make them small, checks their output, and returns their names."""
    printed, commands = "", []
    for language, text in blocks_of(page):
        if language == "sh":
            for line in text.splitlines():
                python, script, *flags = shlex.split(line)
                assert python == "python"
                commands.append(Path(script).stem)
                monkeypatch.setattr("sys.argv", [script])  # advice names other commands as this one was called
                module = importlib.import_module(f"scripts.{commands[-1]}")
                assert module.main([*flags, *smaller.get(commands[-1], [])]) == 0
            printed = capsys.readouterr().out
        elif language == "text" and commands:
            missing = [line for line in text.splitlines() if not re.search(f"(?m)^{pattern_of(line)}$", printed)]
            assert missing == [], printed
    return commands


@pytest.mark.slow
@pytest.mark.tflite
def test_every_command_of_the_tutorial_prints_what_it_says(folder, measure_here, monkeypatch, capsys):
    measure_here(monkeypatch)
    Path("mine/classes.txt").write_text(CLASSES)
    commands = run_page(PAGE, SMALLER, monkeypatch, capsys)
    assert commands == ["prepare", "distill", "distill", "report", "export", "predict"]  # the second with --folds
    assert np.asarray(Image.open("masks/p31.png")).shape == (40, 50)


@pytest.mark.slow
def test_every_command_of_the_tutorial_on_adopting_prints_what_it_says(folder, measure_here, monkeypatch, capsys):
    measure_here(monkeypatch)
    monkeypatch.setenv(VARIABLE, "")
    Path("mine/classes.txt").write_text(CLASSES)
    Path("my_net.py").write_text(NETWORK)
    names = {}
    exec(NETWORK, names)
    torch.save(names["UNet"](3, 2).state_dict(), "my_net.pth")
    commands = run_page(ADOPTING, ADOPTED_SMALLER, monkeypatch, capsys)
    assert commands == ["adopt", "compress", "export", "score", "predict"]
    assert np.asarray(Image.open("masks/p31.png")).shape == (40, 50)
