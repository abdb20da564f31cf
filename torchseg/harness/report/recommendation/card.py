"""The first thing on a report: which file to take, and what the run's scores say of its training."""

from __future__ import annotations

from html import escape

from torchseg.harness.format import bytes_text, milliseconds, percent, short_name, unbroken
from torchseg.harness.report.recommendation.facts import (
    certificate_holds,
    certificate_text,
    others_text,
    parts_text,
    points_text,
    ratio,
    reference_name,
    rough_text,
    rule_text,
    runtime_title,
    times_text,
)
from torchseg.harness.report.recommendation.findings import findings
from torchseg.harness.report.recommendation.recommend import Recommendation
from torchseg.harness.report.run_parts import is_in
from torchseg.harness.report.run_record import Row, RunRecord, number


def answer_card(run: RunRecord, found: Recommendation | None) -> str:
    """The recommended file with its numbers, the rule and its runners-up, then notes on the run; may be empty."""
    return (_card(run, found) if found else "") + _notes(run)


def _card(run: RunRecord, found: Recommendation) -> str:
    others = others_text(found)
    further = f"<p>Also: {_text('; '.join(others))}.</p>" if others else ""
    return (
        f'<section class="answer" aria-label="Recommended file"><p class="soft">Take for {found.target.title}</p>'
        f'<p class="file">{_link(run, found.file)}</p><div class="facts">{"".join(_facts(found))}</div>'
        f"<p>It is {_text(rule_text(found))}.</p>{further}</section>"
    )


def _link(run: RunRecord, row: Row) -> str:
    """The file's name, linked if the file is in the run folder."""
    path = row["artifact"]
    inside = is_in(run.folder, path)
    name = escape(short_name(path))
    return f'<a href="{escape(path)}" download>{name}</a> <small>{escape(path)}</small>' if inside else name


def _facts(found: Recommendation) -> list[str]:
    file, reference = found.file, found.reference
    name = reference_name(reference)
    holds = certificate_holds(file)
    return [
        _fact(
            times_text(ratio(reference, file, "size_bytes"), "smaller", "larger"),
            f"{_bytes(file)}; {name}: {_bytes(reference)}",
        ),
        _fact(
            times_text(ratio(reference, file, "latency_ms_min"), "faster", "slower"),
            f"{_time(file)} in {runtime_title(file)}; {name} in {runtime_title(reference)}: {_time(reference)}",
            parts_text(found),
            rough_text(found),
        ),
        _fact(f"{points_text(found)} mean IoU", f"{_miou(file)}; {name}: {_miou(reference)}"),
        _fact(
            "certificate holds" if holds else "no certificate",
            certificate_text(file).partition(": ")[2],
            kind="good" if holds else "bad",
        ),
    ]


def _fact(value: str, *notes: str, kind: str = "") -> str:
    small = "".join(f"<small>{_text(note)}</small>" for note in notes if note)
    return f'<div><b class="{kind}">{_text(value)}</b>{small}</div>'


def _text(sentence: str) -> str:
    """The sentence as HTML, in which no line breaks between a number and its unit."""
    return escape(unbroken(sentence))


def _notes(run: RunRecord) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in findings(run.scores, run.data))
    return f'<ul class="notes" aria-label="Notes on the training">{items}</ul>' if items else ""


def _bytes(row: Row) -> str:
    return bytes_text(number(row, "size_bytes"))


def _time(row: Row) -> str:
    return milliseconds(number(row, "latency_ms_min"))


def _miou(row: Row) -> str:
    return percent(number(row, "miou"))
