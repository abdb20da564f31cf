"""Writes the strip of README: images of a run's test split, their masks, and what teacher and int8 file make of them.

python benchmarks/readme_strip.py runs/scenes docs/strip.jpg
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from torchseg.harness.drawing import Panel, overlay, sheet
from torchseg.harness.sliding_window import by_resizing
from torchseg.pipeline.commands.predict import OpenedModel
from torchseg.pipeline.run.dataset import open_pictures
from torchseg.pipeline.run.recorded_config import recorded_config

MODELS = {"teacher": "teacher", "int8 file": "artifacts/clustered.int8.tflite"}
SHOWN = (0,)  # numbers of the test images


def main() -> int:
    run, target = map(Path, sys.argv[1:])
    pictures = open_pictures(recorded_config(run))
    rows = []
    with ExitStack() as opened:
        models = {
            name: opened.enter_context(OpenedModel(run / path, name, segment=by_resizing, threads=1))
            for name, path in MODELS.items()
        }
        for number in SHOWN:
            sample = pictures.test[number]
            panels = [Panel(picture=sample.picture, title="image")]
            panels.append(Panel(picture=overlay(sample.picture, sample.mask), title="mask"))
            for name, model in models.items():
                panels.append(Panel(picture=overlay(sample.picture, model.labels(sample.picture)), title=name))
            rows.append(panels)
    sheet(rows, pictures.spec.classes).save(target, quality=88, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
