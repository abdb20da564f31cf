"""Fails unless a run of the main job left what README promises: certificates, tables, a report, an accurate student."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

FILES = ("report.html", "scores.csv", "per_class.csv", "per_image.csv", "ledger.csv", "environment.json", "config.yaml")


def main(run: Path) -> int:
    """Prints what is missing or wrong in the run folder; 1 if there is anything."""
    problems = [f"{name} is missing or empty" for name in FILES if not _size(run / name)]
    certificates = sorted((run / "artifacts").glob("*.json"))
    models = [path for path in sorted((run / "artifacts").iterdir()) if path.suffix in (".onnx", ".tflite")]
    problems += [f"{path.name} has no certificate" for path in models if not _size(path.with_name(f"{path.name}.json"))]
    problems += [f"{path.name}: its certificate does not hold" for path in certificates if not _holds(path)]
    with (run / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    problems += [f"{row['artifact']} was not scored: {row['error']}" for row in rows if row["error"]]
    if len(models) < 16 or len(rows) < 20:
        problems.append(f"there are {len(models)} model files and {len(rows)} scores; expected at least 16 and 20")
    problems += _accuracy_problems(
        {Path(row["artifact"]).parent.name: float(row["miou"]) for row in rows if row["miou"]}
    )
    print("\n".join(problems) or f"{run}: {len(models)} model files certified, {len(rows)} scores, report.html there")
    return 1 if problems else 0


def _accuracy_problems(miou: dict[str, float]) -> list[str]:
    """What distillation and compression must keep on the built-in images; the margins leave room for other machines."""
    if missing := [name for name in ("teacher", "student", "baseline", "clustered") if name not in miou]:
        return [f"{', '.join(missing)} not scored"]
    problems = []
    if miou["student"] <= miou["baseline"]:
        problems.append(f"the student ({miou['student']:.4f}) is not ahead of its baseline ({miou['baseline']:.4f})")
    if miou["clustered"] < miou["student"] - 0.03:
        problems.append(f"compression took the student from {miou['student']:.4f} to {miou['clustered']:.4f}")
    return problems


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _holds(path: Path) -> bool:
    return bool(json.loads(path.read_text())["verdict"]["passed"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
