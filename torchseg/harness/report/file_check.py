"""Whether the files that a report names are still those that were scored."""

from __future__ import annotations

from torchseg.harness.report.run_record import RunRecord
from torchseg.harness.scoring.measurement import sha256_of_parts
from torchseg.modelfile.certificate import FEW_IMAGES
from torchseg.modelfile.model_file import ModelFile

CHANGED = "has changed since it was scored; run score again"
_HOLDING = ("", "holds", FEW_IMAGES)


def file_problems(run: RunRecord) -> dict[str, str]:
    """What is wrong with each file in the score table, by its name there; files with nothing wrong are left out."""
    found = {}
    for row in run.scores:
        name, recorded = row["artifact"], row.get("sha256", "")
        if name not in found and recorded and (problem := _problem(ModelFile(run.folder / name), recorded)):
            found[name] = problem
    return found


def _problem(file: ModelFile, recorded: str) -> str:
    if not file.path.exists():
        return "is no longer there; its numbers are those of the last score"
    try:
        now = sha256_of_parts(file)
    except ValueError as error:
        return f"cannot be read: {error}"
    if now != recorded:
        return CHANGED
    state = file.certificate_state
    return "" if state in _HOLDING else f"has a certificate that {state}; export it again"
