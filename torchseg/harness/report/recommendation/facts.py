"""A recommendation in words: the same ones in the terminal, in the report and in the README."""

from __future__ import annotations

from torchseg.harness.format import bytes_text, milliseconds, percent, short_name
from torchseg.harness.report.recommendation.recommend import BUDGET, Recommendation
from torchseg.harness.report.run_record import Row, number
from torchseg.harness.runtimes.table import RUNTIMES
from torchseg.modelfile.certificate import FEW_IMAGES


def facts(found: Recommendation) -> dict[str, str]:
    """Size, speed, accuracy, certificate, rule and other files, each as one phrase that names both ends."""
    lines = {
        "size": _size(found),
        "speed": _speed(found),
        "accuracy": _accuracy(found),
        "certificate": certificate_text(found.file),
        "why": rule_text(found),
    }
    others = others_text(found)
    return lines | ({"others": "; ".join(others)} if others else {})


def headline(found: Recommendation) -> str:
    """The file against its reference as a paragraph of Markdown."""
    file, reference = found.file, found.reference
    parts, others = parts_text(found), others_text(found)
    return (
        f"**{times_text(ratio(reference, file, 'size_bytes'), 'smaller', 'larger')}, "
        f"{times_text(ratio(reference, file, 'latency_ms_min'), 'faster', 'slower')}, {points_text(found)} mean IoU**: "
        f"`{short_name(file['artifact'])}` ({_numbers(file)}), {rule_text(found)}, against {reference_name(reference)} "
        f"in {runtime_title(reference)} ({_numbers(reference)})."
        + (f" The parts of the speed-up: {parts}." if parts else "")
        + (f" The speed-up is {rough_text(found)}." if rough_text(found) else "")
        + (f" Also: {'; '.join(others)}." if others else "")
    )


def reference_name(row: Row) -> str:
    """`the teacher` for a checkpoint of that stage; the file's name for a model file."""
    return f"the {row['stage']}" if row["format"] == "torch" and row.get("stage") else short_name(row["artifact"])


def runtime_title(row: Row) -> str:
    """The runtime's name as its makers write it."""
    name = row.get("runtime", "")
    return RUNTIMES[name].title if name in RUNTIMES else name


def ratio(before: Row, after: Row, column: str) -> float | None:
    """How many times less of a cost `after` has; None if one is unknown."""
    there, here = number(before, column), number(after, column)
    return there / here if there and here else None


def times_text(times: float | None, word: str, opposite: str) -> str:
    """`30 times faster`; below 1 with the opposite word."""
    if times is None:
        return f"an unknown number of times {word}"
    times, word = (times, word) if times >= 1 else (1 / times, opposite)
    return f"{factor_text(times)} times {word}"


def factor_text(times: float) -> str:
    """A factor with two digits."""
    return f"{times:.0f}" if times >= 9.95 else f"{times:.1f}"


def points_text(found: Recommendation) -> str:
    """`4.88 points less`, of mean IoU."""
    apart = 100 * ((number(found.file, "miou") or 0.0) - (number(found.reference, "miou") or 0.0))
    return f"{abs(apart):.2f} points {'more' if apart > 0 else 'less'}"


def parts_text(found: Recommendation) -> str:
    """Where the speed comes from, e.g. `5.5 from the smaller network, 2.1 from LiteRT, 2.7 from int8`."""
    names = {
        "network": "the smaller network",
        "runtime": runtime_title(found.file),
        "precision": found.file.get("precision", ""),
    }
    return ", ".join(f"{factor_text(each.times)} from {names[each.source]}" for each in found.factors)


def rough_text(found: Recommendation) -> str:
    """Why a speed-up is not to be trusted: a median far above the minimum; empty if the timings were undisturbed."""
    noisy = [row for row in (found.reference, found.file) if row.get("noisy") == "true"]
    names = " and ".join(dict.fromkeys(reference_name(row) for row in noisy))
    return f"rough: something else used the machine while {names} ran" if noisy else ""


def certificate_text(row: Row) -> str:
    """The verdict of a file's certificate, with its meaning."""
    if not certificate_holds(row):
        return "none: nobody checked that the file computes what its network computes"
    agreement = percent(number(row, "argmax_agreement"), digits=2)
    same = f" ({agreement} of test pixels get the same class)" if agreement else ""
    few = "; too few validation images to say how much accuracy it loses" if row["certified"] == FEW_IMAGES else ""
    return f"holds: the file computes what its network computes{same}{few}"


def certificate_holds(row: Row) -> bool:
    """Whether a file passed its certificate, whatever that says of the loss of accuracy."""
    return row.get("certified") in ("true", FEW_IMAGES)


def rule_text(found: Recommendation) -> str:
    """Why this file was chosen."""
    budget = f"{100 * BUDGET:g} point of mean IoU"
    floor = f"{reference_name(found.floor)} ({percent(number(found.floor, 'miou'))})"
    if not found.within:
        return f"the most accurate file for {found.target.title}, as none is within {budget} of {floor}"
    return f"{found.target.rule} within {budget} of {floor}"


def others_text(found: Recommendation) -> list[str]:
    """The runners-up, each with what it is best at: `smallest student.onnx (150.6 kB)`."""
    shown = {
        "smallest": lambda row: bytes_text(number(row, "size_bytes")),
        "fastest": lambda row: milliseconds(number(row, "latency_ms_min")),
        "most accurate": lambda row: percent(number(row, "miou")),
    }
    return [f"{title} {short_name(row['artifact'])} ({shown[title](row)})" for title, row in found.others.items()]


def _size(found: Recommendation) -> str:
    times = times_text(ratio(found.reference, found.file, "size_bytes"), "smaller", "larger")
    return (
        f"{bytes_text(number(found.file, 'size_bytes'))}, {times} than {reference_name(found.reference)} "
        f"({bytes_text(number(found.reference, 'size_bytes'))})"
    )


def _speed(found: Recommendation) -> str:
    times = times_text(ratio(found.reference, found.file, "latency_ms_min"), "faster", "slower")
    remarks = [parts_text(found), rough_text(found)]
    return (
        f"{milliseconds(number(found.file, 'latency_ms_min'))} in {runtime_title(found.file)}, {times} than "
        f"{reference_name(found.reference)} in {runtime_title(found.reference)} "
        f"({milliseconds(number(found.reference, 'latency_ms_min'))})"
        + (f": {'; '.join(filter(None, remarks))}" if any(remarks) else "")
    )


def _accuracy(found: Recommendation) -> str:
    return (
        f"{percent(number(found.file, 'miou'))} mean IoU, {points_text(found)} than {reference_name(found.reference)} "
        f"({percent(number(found.reference, 'miou'))})"
    )


def _numbers(row: Row) -> str:
    return ", ".join(
        [
            bytes_text(number(row, "size_bytes")),
            milliseconds(number(row, "latency_ms_min")),
            percent(number(row, "miou")),
        ]
    )
