"""Builds `report.html` from a run folder alone."""

from __future__ import annotations

from html import escape
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.harness.format import short_name
from torchseg.harness.report.advice import explain
from torchseg.harness.report.charts.figures import save_figures
from torchseg.harness.report.charts.precision_recall import precision_recall_plots
from torchseg.harness.report.charts.tradeoffs import tradeoff_plots
from torchseg.harness.report.charts.training_curves import curve_plots
from torchseg.harness.report.class_tables import class_table, confusion_tables
from torchseg.harness.report.file_check import file_problems
from torchseg.harness.report.gallery import gallery
from torchseg.harness.report.markdown import markdown_table
from torchseg.harness.report.recommendation.card import answer_card
from torchseg.harness.report.recommendation.recommend import recommend
from torchseg.harness.report.run_record import RunRecord, conditions, no_test_results, read_run
from torchseg.harness.report.score_table import score_table
from torchseg.harness.report.style import SCRIPT, STYLE
from torchseg.harness.report.tables import certificate_list, ledger_section, value_table
from torchseg.plural import counted

__all__ = ["markdown_table", "write_report"]

_NAMED = 3  # files that a sentence names


def write_report(run: Path, *, target: str | None = None) -> Path:
    """Writes `report.html` and figures/*.png into a run folder, from its contents; sections without data are left out.

    The page is a single file: it opens from disk, loads nothing from the network, and has a light and a dark theme.

    Args:
        run: folder with scores.csv or the curves.csv of at least one stage.
        target: where the files will run, a key of `TARGETS`; None takes that of the run.

    Returns:
        Path of the page.

    Raises:
        ValueError: if the folder is not the folder of a run.
    """
    record = read_run(run)
    save_figures(record, target=target)
    path = run / "report.html"
    with partial_file(path) as partial:
        partial.write_text(report_html(record, target=target), encoding="utf-8")
    return path


def report_html(run: RunRecord, *, target: str | None = None) -> str:
    """The whole page as HTML; a section appears only if the run folder holds data for it."""
    found, of = recommend(run.scores, target=target or run.target), run.on_split
    sections = [
        ("tradeoffs", f"Accuracy{of} against cost", tradeoff_plots(run, found)),
        ("scores", f"Scores{of}", score_table(run.scores, found)),
        ("why", "Worth knowing", _explanations(run)),
        ("gallery", f"Comparison{of and f' on images{of}'}", gallery(run, found)),
        ("classes", f"Classes{of}", class_table(run, found)),
        ("training", "Training", curve_plots(run)),
        ("curves", f"Precision and recall{of}", precision_recall_plots(run)),
        ("confusion", f"Confusion{of}", confusion_tables(run, found)),
        ("certificates", "Certificates", _folded("one per file", certificate_list(run))),
        (
            "ledger",
            "Ledger",
            _folded("zeros and distinct values of every network and file", ledger_section(run.ledger)),
        ),
        ("again", "Do it again", _reproduction(run)),
    ]
    present = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in present)
    body = "".join(f'<section id="{key}"><h2>{title}</h2>{content}</section>' for key, title, content in present)
    name = escape(run.folder.resolve().name)
    title = f"{name}: scores{of}" if of else name
    warning = f'<p class="warn">{no_test_results(run.split)}</p>' if of else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: report</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'  # without it a browser requests /favicon.ico
        f"<style>{STYLE}</style></head><body><header><h1>{title}</h1>{warning}{_conditions(run)}"
        f"{answer_card(run, found)}<nav>{links}</nav></header><main>{body}</main>"
        f"<footer>Built from the run folder alone; build it again with <code>torchseg report</code>.</footer>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>" if content else ""


def _conditions(run: RunRecord) -> str:
    """The conditions of the timings, in one line."""
    rows = [each for each in run.scores if each["latency_ms_min"]]
    if not rows:
        return ""
    value = conditions(rows)
    words = [
        f"{counted(value['images'], 'image')} of {value['image_size']}",
        f"batch {value['batch']}",
        counted(value["threads"], "thread"),
        f"{counted(value['rounds'], 'round')} of {value['repeats']} after {counted(value['warmup'], 'warm-up')}",
        value["host"],
    ]
    return f'<p class="soft">{escape(" · ".join(word for word in words if word))}</p>'


def _explanations(run: RunRecord) -> str:
    """Each finding once, with the files that it applies to."""
    files: dict[str, list[str]] = {}
    for name, problem in file_problems(run).items():
        files.setdefault(f"The file {problem}.", []).append(name)
    for row in run.scores:
        for sentence in explain(row):
            files.setdefault(sentence, []).append(short_name(row["artifact"]))
    items = "".join(f"<li>{_named(names)}: {escape(sentence)}</li>" for sentence, names in files.items())
    return f"<ul>{items}</ul>" if items else ""


def _named(files: list[str]) -> str:
    """The first files by name, and how many there are besides; pointing at these tells which."""
    shown = files if len(files) <= _NAMED + 1 else files[:_NAMED]
    more = "" if shown == files else f' and <span title="{escape(", ".join(files))}">{len(files) - _NAMED} more</span>'
    return f"<b>{escape(', '.join(shown))}</b>{more}"


def _reproduction(run: RunRecord) -> str:
    command = run.environment.get("command", "")
    text = " ".join(str(word) for word in command) if isinstance(command, list) else str(command)
    parts = [f'<pre tabindex="0">{escape(text)}</pre>'] if text else []
    if run.config:
        parts.append(f"<details><summary>config.yaml</summary><pre>{escape(run.config)}</pre></details>")
    if run.environment:
        parts.append(
            f"<details><summary>environment.json</summary>{value_table(run.environment, label='environment')}</details>"
        )
    return "".join(parts)
