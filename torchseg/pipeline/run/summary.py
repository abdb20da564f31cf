"""Lines that commands print at the end: tables of scores, and checkpoints as arguments of the next command."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from torchseg.checkpoint import read_card
from torchseg.cli.command import other_command
from torchseg.harness.format import aligned, short_name
from torchseg.harness.report.rare_classes import MARK, rare_classes, rare_text
from torchseg.harness.report.recommendation.facts import facts
from torchseg.harness.report.recommendation.findings import findings
from torchseg.harness.report.recommendation.recommend import recommend
from torchseg.harness.report.run_parts import is_in
from torchseg.harness.report.run_record import RunRecord, no_test_results, number, read_run, read_scores, split_of
from torchseg.harness.scoring.columns import MEAN, MEASURES
from torchseg.harness.scoring.measurement import TEST
from torchseg.modelfile.certificate import FEW_IMAGES
from torchseg.pipeline.run.folder import RunFolder
from torchseg.plural import counted

_COLUMNS = (
    ("file", "artifact", "{}"),
    ("runtime", "runtime", "{}"),
    ("threads", "threads", "{}"),
    ("mean IoU %", "miou", "{:.2f}"),
    ("agreement %", "argmax_agreement", "{:.3f}"),
    ("ms (min)", "latency_ms_min", "{:.2f}"),
    ("kB", "size_bytes", "{:.0f}"),
    ("certified", "certified", "{}"),
)
_KINDS = {
    "probability": "its values are probabilities",
    "mask255": "its values run from 0 to 255",
    "classes": "it gives classes",
}
_OF_SPLIT = ("miou", "argmax_agreement")
_SHOWN_IF_MIXED = ("runtime", "threads")
_SCALES = {"miou": 100.0, "argmax_agreement": 100.0, "size_bytes": 1e-3}
_SCALES |= dict.fromkeys([*MEASURES, *MEASURES.values()], 100.0)
_WIDTH = 110
_FEW_IMAGES = (
    f"{FEW_IMAGES}: the file computes what its network computes; it was certified on fewer than 20 images, too few "
    "to say how much mean IoU it loses"
)


def checkpoint_argument(checkpoint: Path) -> str:
    """A checkpoint as an argument of the next command, with the hash to confirm if its network is in a code file."""
    code = read_card(checkpoint).code
    return f"{checkpoint} --trust_code {code['sha256']}" if code else str(checkpoint)


def summary_lines(folder: RunFolder, ran: Sequence[str], *, problems: Sequence[str], seconds: float) -> list[str]:
    """What ran, the score table, what the scores say of the training, and which file to take."""
    path = folder.path
    lines = [*_done_lines(ran, seconds)]
    if not ran and not problems:
        lines = [f"Nothing to do: {path} is complete and its inputs have not changed ({seconds:.0f} s)."]
    lines += ["", *table_lines(path / "scores.csv")]
    run = read_run(path)
    for sentence in findings(run.scores, run.data):
        lines += ["", *textwrap.wrap(f"Note: {sentence}", _WIDTH)]
    for problem in problems:
        lines += ["", f"FAILED: {problem}"]
    return [*lines, "", *answer_lines(run, target=run.target)]


def answer_lines(run: RunRecord, *, target: str | None, paths: Mapping[str, Path] = MappingProxyType({})) -> list[str]:
    """The scores of each class for the recommended file, that file with its numbers, and where everything is.

    Args:
        run: what the folder of the scores holds.
        target: where the file will run, see `recommend`.
        paths: of files that are not in that folder, by their names in its tables.
    """
    found = recommend(run.scores, target=target)
    links = [_line("report", (run.folder / "report.html").resolve().as_uri())]
    if (run.folder / "artifacts").is_dir():
        links.append(_line("files", str(run.folder / "artifacts")))
    if run.split != TEST:
        return ["No file to recommend: that takes scores of the test split.", *links]
    if found is None:
        return ["No file to recommend: none was exported, scored and certified.", *links]
    name = found.file["artifact"]
    file = run.folder / name if is_in(run.folder, name) else paths.get(name, name)
    return [
        *class_lines(run.classes, found.file),
        "",
        f"Take {file} for {found.target.title}",
        *(_line(title, text) for title, text in facts(found).items()),
        *links,
        _line("next", f"{other_command('predict')} {file} IMAGE..."),
    ]


def class_lines(rows: Sequence[Mapping[str, str]], file: Mapping[str, str]) -> list[str]:
    """Dice, IoU, precision and recall of every class and their means for one file, in percent; empty if unknown.

    The mean is marked if one of its classes has few pixels in the test images.
    """
    known = [row for row in rows if all(row.get(key) == file.get(key) for key in ("artifact", "runtime"))]
    if not known:
        return []
    table = [[row["class"], *(_cell(row, key, "{:.2f}") for key in MEASURES)] for row in known]
    if known[-1].get("class_index"):  # tables of earlier versions have no such row
        table.append([MEAN, *(_cell(file, key, "{:.2f}") for key in MEASURES.values())])
    rare = rare_classes(known)
    if rare:
        table[-1][0] += f" {MARK}"
    lines = aligned([[f"{short_name(file['artifact'])}, %", *MEASURES], *table])
    return [*lines, *([f"{MARK} {rare_text(rare)}"] if rare else [])]


def _done_lines(ran: Sequence[str], seconds: float) -> list[str]:
    """The stages that ran on the first line, then the exported files, one line per network."""
    files: dict[str, list[str]] = {}
    for name in ran:
        folder, _, file = name.rpartition("/")
        if folder:
            stage, _, kind = file.partition(".")
            files.setdefault(f"{folder}/{stage}", []).append(kind)
    stages = [name for name in ran if "/" not in name]
    listed = ", ".join(stages) or ("exports" if files else "nothing new")
    lines = [line for stage, kinds in files.items() for line in textwrap.wrap(f"{stage}: {', '.join(kinds)}", _WIDTH)]
    return [f"Done in {seconds / 60:.1f} minutes: {listed}", *(f"  {line}" for line in lines)]


def _line(title: str, text: str) -> str:
    return f"  {title:<12}{text}"


def table_lines(scores: Path) -> list[str]:
    """The main columns of `scores.csv`, aligned, one line per row; empty if there is no table."""
    rows = read_scores(scores)
    if not rows:
        return []
    mixed = {key for key in _SHOWN_IF_MIXED if len({row.get(key) for row in rows}) > 1}
    columns = [each for each in _COLUMNS if each[1] not in _SHOWN_IF_MIXED or each[1] in mixed]
    cells = [[_cell(row, key, form) for _, key, form in columns] for row in rows]
    split = split_of(rows)
    titles = [f"{split} {title}" if key in _OF_SPLIT and split != TEST else title for title, key, _ in columns]
    table = aligned([titles, *cells])
    warning = [no_test_results(split)] if split != TEST else []
    few = any(row["certified"] == FEW_IMAGES for row in rows)
    return [*table, *warning, *(textwrap.wrap(_FEW_IMAGES, _WIDTH) if few else [])]


def comparison_lines(scores: Path) -> list[str]:
    """Compares every file with its reference; each difference has a 99 % interval."""
    return [_comparison(row) for row in read_scores(scores) if row["latency_ratio"]]


def note_lines(scores: Path) -> list[str]:
    """How the output of each file was read, if there was a choice."""
    lines = []
    for row in read_scores(scores):
        kind = "" if row["certified"] else _KINDS.get(row["output_kind"], "")  # a certified file is one of this project
        said = "; ".join(filter(None, (kind, row["note"])))
        lines += [f"{row['artifact']}: {said}"] if said and not row["error"] else []
    return list(dict.fromkeys(lines))


def _comparison(row: dict[str, str]) -> str:
    ratio, low, high = (float(row[f"latency_ratio{end}"]) for end in ("", "_low", "_high"))
    text = (
        f"{row['artifact']} ({row['runtime']}, {counted(int(row['threads']), 'thread')}) against {row['against']}:\n"
        f"  time      {ratio:.3f} times ({low:.3f} to {high:.3f}): {row['speed']}"
    )
    if not row["miou_difference"]:
        return text
    apart, low, high = (100 * float(row[f"miou_difference{end}"]) for end in ("", "_low", "_high"))
    return f"{text}\n  mean IoU  {apart:+.2f} points ({low:+.2f} to {high:+.2f}): {row['accuracy']}"


def _cell(row: Mapping[str, str], key: str, form: str) -> str:
    text, value = row.get(key, ""), number(row, key)
    if value is None or form == "{}":
        return text or "-"
    return form.format(value * _SCALES.get(key, 1.0))
