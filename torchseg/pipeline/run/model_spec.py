"""What pictures a model file takes, where no data set is at hand to ask."""

from __future__ import annotations

from pathlib import Path

from torchseg.checkpoint import read_card
from torchseg.modelfile.describe import file_facts
from torchseg.pipeline.run.image_spec import own_spec
from torchseg.pipeline.run.imported import read_imported
from torchseg.pipeline.run.recorded_config import run_of
from torchseg.spec import ImageSpec


def spec_of(model: Path) -> ImageSpec:
    """From a checkpoint's card, from what an exported file says about itself, or from the run that it lies in.

    Raises:
        ValueError: if nothing says it.
    """
    if model.suffix not in (".onnx", ".tflite") or model.is_dir():
        return read_card(model if model.is_dir() else model.parent).spec
    facts = file_facts(model)
    known = _spec_in_run(model)
    spec = (own_spec(facts, known) if facts else None) or known
    if spec is None:
        raise ValueError(
            f"{model} does not say how its pictures are scaled and what its classes are; give a file that export or "
            "import_tf made"
        )
    return spec


def _spec_in_run(model: Path) -> ImageSpec | None:
    """Of the network of the run that bears the file's name; None if there is none."""
    stage = model.name.split(".")[0]
    try:
        run = run_of(model)
        imported = read_imported(run, stage)
        return imported.spec if imported else read_card(run / stage).spec
    except ValueError:
        return None
