"""Runs the recipes at the sizes given in docs/explanation/recipes.md, and writes their tables and figures there.

python benchmarks/recipes.py DATA

A corrected recipe starts from the run of its original and trains only the stages that the mistake affected. A complete
run is not repeated; its minutes stay those of the calls that made it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from marked_table import write_marked_table
from recipe_tables import copy_figures, size_table, stage_table, truth_table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "explanation"
_MINUTES = "minutes.json"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a recipe.

    Attributes:
        name: of its folder, and of its rows in the tables.
        recipe: file in recipes/, without suffix.
        flags: in addition to those of the recipe.
        start: an earlier run whose trainings are reused where possible.
    """

    name: str
    recipe: str
    flags: str = ""
    start: str = ""


@dataclass(frozen=True, kw_only=True)
class Story:
    """The runs of one published project, with their data folder and size flags; figures come from the last run."""

    folder: str
    size: str
    runs: tuple[Run, ...]


STORIES = {
    "prune-cluster": Story(
        folder="oxford-iiit-pet",
        size="--image_size 128 --student_arguments base_width=16 --epochs 12 --prune_epochs 10 --cluster_epochs 4 "
        "--formats onnx --precisions fp32,int8",
        runs=(
            Run(name="prune-cluster", recipe="prune-cluster", flags="--prune_end 61"),
            Run(
                name="prune-cluster-corrected",
                recipe="prune-cluster-corrected",
                flags="--prune_end '8 epochs'",
                start="prune-cluster",
            ),
        ),
    ),
    "kd-levelprune": Story(
        folder="aerial",
        size="--patch_size 512 --image_size 96 --teacher_epochs 4 --epochs 6 --prune_epochs 3 "
        "--formats onnx --precisions fp32",
        runs=(
            Run(name="kd-levelprune", recipe="kd-levelprune"),
            Run(name="kd-levelprune-as-it-ran", recipe="kd-levelprune", flags="--teacher null", start="kd-levelprune"),
            Run(name="kd-levelprune-corrected", recipe="kd-levelprune-corrected", start="kd-levelprune"),
        ),
    ),
    "pipeline": Story(
        folder="oxford-iiit-pet",
        size="--student_arguments base_width=16 --epochs 12 --prune_epochs 6",
        runs=(Run(name="pipeline", recipe="pipeline"),),
    ),
    "driving": Story(
        folder="camvid",
        size="--data camvid --image_size 64,96 --teacher_epochs 8 --epochs 10 --formats onnx --precisions fp32",
        runs=(
            Run(name="driving", recipe="driving"),
            Run(name="driving-corrected", recipe="driving-corrected", start="driving"),
        ),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder that holds oxford-iiit-pet/, aerial/ and camvid/")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"), help="folder for the runs")
    parser.add_argument("--only", default=",".join(STORIES), help="recipes to run, separated by commas")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--flags", default="", help="further flags of every run, to try the script at a smaller size")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of recipes.md, whose figures go into recipes/")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        story = STORIES[name]
        for run in story.runs:
            _run(run, story, arguments)
        _write(name, story, arguments)
    return 0


def _run(run: Run, story: Story, arguments: argparse.Namespace) -> None:
    """Runs the recipe unless it is complete; raises CalledProcessError if it fails."""
    out: Path = arguments.out / run.name
    if run.start and not out.exists():
        ignored = shutil.ignore_patterns("artifacts", "figures", "report.html", "scores.csv", "run.log", _MINUTES)
        shutil.copytree(arguments.out / run.start, out, ignore=ignored)
    further = shlex.split(f"{story.size} {run.flags} {arguments.flags}")
    places = ["--root", str(arguments.data / story.folder), "--out", str(out), "--threads", str(arguments.threads)]
    started, done = time.monotonic(), (out / "scores.csv").exists()
    print(f"== {run.name}", flush=True)
    recipe = ["--config", str(ROOT / "recipes" / f"{run.recipe}.yaml")]
    try:
        subprocess.run([sys.executable, str(ROOT / "scripts/distill.py"), *recipe, *further, *places], check=True)
    finally:  # the minutes of an interrupted run add up over all its calls
        if out.exists() and not done:
            taken = _minutes(out) + (time.monotonic() - started) / 60
            (out / _MINUTES).write_text(json.dumps({"minutes": taken}) + "\n", encoding="utf-8")


def _minutes(out: Path) -> float:
    path = out / _MINUTES
    return float(json.loads(path.read_text(encoding="utf-8"))["minutes"]) if path.is_file() else 0.0


def _shown(run: Run, story: Story, arguments: argparse.Namespace) -> str:
    """The command as a reader would type it."""
    further = " ".join(f"{story.size} {run.flags} {arguments.flags}".split())
    places = f"--root DATA/{story.folder} --out runs/recipes/{run.name}"
    return f"python scripts/distill.py --config recipes/{run.recipe}.yaml {places} \\\n    {further}"


def _write(name: str, story: Story, arguments: argparse.Namespace) -> None:
    runs = [arguments.out / run.name for run in story.runs]
    lines = [
        f"# {run.name}: {_minutes(out):.1f} minutes\n{_shown(run, story, arguments)}"
        for run, out in zip(story.runs, runs, strict=True)
    ]
    parts = ["\n".join(["```bash", *lines, "```"]), stage_table(runs)]
    if name == "pipeline":
        parts.append(size_table(runs[0]))
    if name == "driving":
        parts.append(truth_table(runs[-1], "student"))
    parts.append(copy_figures(name, runs[-1], arguments.docs / "recipes"))
    write_marked_table(arguments.docs / "recipes.md", name, "\n\n".join(parts))


if __name__ == "__main__":
    sys.exit(main())
