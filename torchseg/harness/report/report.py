"""Builds `report.html` from a run folder alone."""

from __future__ import annotations

from html import escape
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.harness.format import bytes_text, milliseconds, percent, short_name
from torchseg.harness.report.advice import explain
from torchseg.harness.report.charts import curve_plots, precision_recall_plots, tradeoff_plots
from torchseg.harness.report.figures import save_figures
from torchseg.harness.report.gallery import gallery
from torchseg.harness.report.markdown import markdown_table
from torchseg.harness.report.recommend import BUDGET, recommend
from torchseg.harness.report.run_record import Row, RunRecord, conditions, number, read_run
from torchseg.harness.report.style import SCRIPT, STYLE
from torchseg.harness.report.tables import (
    certificate_list,
    class_table,
    confusion_tables,
    ledger_section,
    score_table,
    value_table,
)

__all__ = ["markdown_table", "write_report"]


def write_report(run: Path) -> Path:
    """Writes `report.html` and figures/*.png into a run folder, from its contents; sections without data are left out.

    The page is a single file: it opens from disk, loads nothing from the network, and has a light and a dark theme.

    Args:
        run: folder with scores.csv or the curves.csv of at least one stage.

    Returns:
        Path of the page.

    Raises:
        ValueError: if the folder is not the folder of a run.
    """
    record = read_run(run)
    save_figures(record)
    path = run / "report.html"
    with partial_file(path) as partial:
        partial.write_text(report_html(record), encoding="utf-8")
    return path


def report_html(run: RunRecord) -> str:
    """The whole page as HTML; a section appears only if the run folder holds data for it."""
    sections = [
        ("scores", "Scores", score_table(run.scores)),
        ("why", "Worth knowing", _explanations(run)),
        ("tradeoffs", "Accuracy against cost", tradeoff_plots(run)),
        ("gallery", "Gallery", gallery(run)),
        ("training", "Training", curve_plots(run)),
        ("classes", "IoU per class", class_table(run)),
        ("curves", "Precision and recall", precision_recall_plots(run)),
        ("confusion", "Confusion", confusion_tables(run)),
        ("certificates", "Certificates", certificate_list(run)),
        ("ledger", "Ledger", ledger_section(run.ledger)),
        ("again", "Do it again", _reproduction(run)),
    ]
    present = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in present)
    body = "".join(f'<section id="{key}"><h2>{title}</h2>{content}</section>' for key, title, content in present)
    name = escape(run.folder.resolve().name)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}: report</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'  # without it a browser requests /favicon.ico
        f"<style>{STYLE}</style></head><body><header><h1>{name}</h1>{_conditions(run)}<nav>{links}</nav>"
        f"{_recommendations(run)}</header><main>{body}</main>"
        f"<footer>Built from the run folder alone; build it again with <code>torchseg report</code>.</footer>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _conditions(run: RunRecord) -> str:
    """The conditions of the timings, in one line."""
    rows = [each for each in run.scores if each["latency_ms_min"]]
    if not rows:
        return ""
    value = conditions(rows)
    words = [
        f"{value['images']} images of {value['image_size']}",
        f"batch {value['batch']}",
        f"{value['threads']} thread(s)",
        f"{value['rounds']} rounds of {value['repeats']} after {value['warmup']} warm-ups",
        value["host"],
    ]
    return f'<p class="soft">{escape(" · ".join(word for word in words if word))}</p>'


def _recommendations(run: RunRecord) -> str:
    chosen = recommend(run.scores)
    if chosen is None:
        return ""
    limit = f"at most {100 * BUDGET:g} point of mean IoU below {short_name(chosen.baseline['artifact'])}"
    cards = [
        _card("Smallest file", chosen.smallest, chosen.baseline, limit),
        _card("Fastest file", chosen.fastest, chosen.baseline, limit),
        _card("Baseline", chosen.baseline, chosen.baseline, "what the files are held against"),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(title: str, row: Row, baseline: Row, note: str) -> str:
    facts = [
        f"mean IoU {percent(number(row, 'miou'))}",
        bytes_text(number(row, "size_bytes")) + _times_less(row, baseline, "size_bytes", "smaller"),
        milliseconds(number(row, "latency_ms_min")) + _times_less(row, baseline, "latency_ms_min", "faster"),
    ]
    lines = "".join(f"<div>{escape(fact)}</div>" for fact in facts)
    name = escape(short_name(row["artifact"]))
    return f'<div class="card"><span class="soft">{title}</span><b>{name}</b>{lines}<small>{escape(note)}</small></div>'


def _times_less(row: Row, baseline: Row, column: str, word: str) -> str:
    here, there = number(row, column), number(baseline, column)
    return f" ({there / here:.1f} times {word})" if here and there and there / here >= 1.05 else ""


def _explanations(run: RunRecord) -> str:
    """Each finding once, with the files that it applies to."""
    files: dict[str, list[str]] = {}
    for row in run.scores:
        for sentence in explain(row):
            files.setdefault(sentence, []).append(short_name(row["artifact"]))
    items = "".join(
        f"<li><b>{escape(', '.join(names))}</b>: {escape(sentence)}</li>" for sentence, names in files.items()
    )
    return f"<ul>{items}</ul>" if items else ""


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
