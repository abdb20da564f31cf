"""The commands of the tutorial, in miniature, and what it says that they print."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchseg.data.datasets.scenes import draw_scene

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "your-own-images.md"
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


@pytest.mark.slow
@pytest.mark.tflite
def test_every_command_of_the_tutorial_prints_what_it_says(folder, measure_here, monkeypatch, capsys):
    measure_here(monkeypatch)
    Path("mine/classes.txt").write_text(CLASSES)
    printed, commands = "", []
    for language, text in blocks_of(PAGE):
        if language == "sh":
            for line in text.splitlines():
                python, script, *flags = shlex.split(line)
                assert python == "python"
                commands.append(Path(script).stem)
                monkeypatch.setattr("sys.argv", [script])  # advice names other commands as this one was called
                module = importlib.import_module(f"scripts.{commands[-1]}")
                assert module.main([*flags, *SMALLER.get(commands[-1], [])]) == 0
            printed = capsys.readouterr().out
        elif language == "text" and commands:
            missing = [line for line in text.splitlines() if not re.search(f"(?m)^{pattern_of(line)}$", printed)]
            assert missing == [], printed
    assert commands == ["prepare", "distill", "report", "export", "predict"]
    assert np.asarray(Image.open("masks/p31.png")).shape == (40, 50)
