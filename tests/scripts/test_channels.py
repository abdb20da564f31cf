"""Images of other than three channels go through the whole chain."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import distill, predict, prepare, score

RUN = Path("runs/folder")


@pytest.fixture(params=[1, 4])
def banded(request, pictures):
    """The user's folder with grey images of 12 bits in 16, or with arrays of four bands; and their number."""
    for path in sorted((pictures / "images").glob("*.png")):
        picture = np.asarray(Image.open(path).convert("RGB"))
        if request.param == 1:
            Image.fromarray(picture[..., 0].astype(np.uint16) * 16).save(path)
        else:
            np.save(path.with_suffix(".npy"), np.dstack([picture, 255 - picture[..., :1]]))
            path.unlink()
    return pictures, request.param


@pytest.mark.slow
@pytest.mark.tflite
def test_distilling_images_of_other_channels_ends_with_certified_files(banded, flags, tmp_path):
    folder, channels = banded
    flags[flags.index("onnx")] = "onnx,tflite"
    assert distill.main(flags) == 0
    card = json.loads((RUN / "student/card.json").read_text())
    assert card["spec"]["channels"] == channels
    assert card["spec"].get("value_range") == ([0, 4095] if channels == 1 else None)
    with (RUN / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["format"] for row in rows} == {"torch", "onnx", "tflite"}
    assert all(float(row["argmax_agreement"]) > 0.999 for row in rows)
    assert all(json.loads(path.read_text())["verdict"]["passed"] for path in (RUN / "artifacts").glob("*.json"))

    image = str(next((folder / "images").iterdir()))
    assert predict.main([str(RUN / "artifacts/student.fp32.tflite"), image, "--out", "masks", "--threads", "1"]) == 0
    assert len(list(Path("masks").glob("*.png"))) == 1
    files = [str(RUN / f"artifacts/student.fp32.{kind}") for kind in ("onnx", "tflite")]
    assert score.main([*files, "--threads", "1", "--out", "scored"]) == 0


def test_a_copy_of_images_of_other_channels_has_as_many(banded, capsys):
    folder, channels = banded
    assert prepare.main(["--data", "folder", "--root", str(folder), "--image_size", "16", "--out", "copy"]) == 0
    assert ("values from 0 to 4095 become 0 to 255" in capsys.readouterr().out) == (channels == 1)
    assert prepare.main(["--data", "folder", "--root", "copy", "--image_size", "16", "--channels", str(channels)]) == 0
    copied = next(Path("copy/images").iterdir())
    values = np.load(copied) if copied.suffix == ".npy" else np.asarray(Image.open(copied))[..., None]
    assert values.shape[2] == channels
    assert values.max() > 30  # nearly black if 12 bits were read as 16
