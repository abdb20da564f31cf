"""Masks for a user's pictures, compared and scored."""

from __future__ import annotations

import shutil

import numpy as np
from PIL import Image

from scripts import predict


def test_predict_shows_errors_and_compares(good_file, pictures, tmp_path, capsys):
    other = tmp_path / "other.onnx"
    shutil.copy(good_file, other)
    for number in range(3, 30):  # three pictures will do
        (pictures / f"images/p{number}.png").unlink()
    Image.new("RGB", (50, 40), (9, 200, 9)).save(pictures / "images/p2.png")
    Image.new("L", (50, 40), 1).save(pictures / "masks/p2.png")
    images, masks = str(pictures / "images"), str(pictures / "masks")
    flags = ["--truth", masks, "--compare", str(other), "--out", "painted", "--threads", "1"]
    assert predict.main([str(good_file), images, *flags]) == 0
    assert np.asarray(Image.open("painted/p2.png")).shape == (40, 50)
    for folder in ("overlays", "errors"):
        assert np.asarray(Image.open(f"painted/{folder}/p2.png")).shape == (40, 50, 3)
    assert np.asarray(Image.open("painted/figures/p0.png")).shape[1] > 1000
    printed = capsys.readouterr().out
    assert "net.fp32.onnx: mean IoU" in printed
    assert "other.onnx: mean IoU" in printed
    rows = (tmp_path / "painted/scores.csv").read_text().splitlines()
    assert rows[0] == "model,image,miou,mean_dice,pixel_accuracy"
    assert len(rows) == 1 + 2 * 3 + 2


def test_predict_refuses_pictures_and_masks_that_do_not_go_together(good_file, pictures, refusal):
    images, first = str(pictures / "images"), str(pictures / "images/p0.png")
    assert predict.main([str(good_file), images, "--truth", str(pictures / "masks/p0.png"), "--threads", "1"]) == 2
    assert "is one mask for 30 images; give the folder" in refusal()
    assert predict.main([str(good_file), first, "--truth", images.replace("images", "nowhere"), "--threads", "1"]) == 2
    assert "has no mask: expected" in refusal()
    assert predict.main([str(good_file), images, first, "--threads", "1"]) == 2
    assert "would both get the mask p0.png" in refusal()


def test_predict_does_not_write_among_the_results_of_a_run(good_file, pictures, refusal, tmp_path):
    (tmp_path / "run/.stages").mkdir(parents=True)
    assert predict.main([str(good_file), str(pictures / "images"), "--out", "run"]) == 2
    assert "--out run is the folder of a run, whose scores and figures the masks would mix with" in refusal()
