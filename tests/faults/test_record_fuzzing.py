"""A record that is damaged in any way is read as if it was whole, or refused with one message that names it."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest

from tests.faults.damaged_records import damaged
from tests.faults.mutations import number_of, report
from tests.faults.small_run import READERS, write_small_run

EACH = -(-number_of(20_000, short=2_250) // len(READERS))


@pytest.fixture(scope="module")
def small_run(tmp_path_factory, passed_certificate):
    run = tmp_path_factory.mktemp("small") / "run"
    run.mkdir()
    write_small_run(run, passed_certificate)
    fresh = passed_certificate(standard_limits=True, size_bytes=6, format="onnx", layout="NCHW", inputs=[], outputs=[])
    fresh["differences"] = {"logit_range": 3.0, "argmax_agreement": 1.0, "iou_difference": {"sky": 0.0}}
    (run / "certificate.json").write_text(json.dumps(fresh))
    return run


@pytest.mark.parametrize("kind", READERS)
def test_records_that_are_whole_are_read(kind, small_run):
    READERS[kind][1](small_run)


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_record_is_one_message_that_names_it(kind, small_run):
    names, read = READERS[kind]
    outcomes: Counter[str] = Counter()
    whole = {name: (small_run / name).read_bytes() for name in names}
    for seed in range(EACH):
        name = names[seed % len(names)]
        path = small_run / name
        path.write_bytes(damaged(whole[name], path.suffix, Random(f"{kind} {seed}")))
        said = _refusal(read, small_run, f"seed {seed} of {kind}: {path}")
        outcomes["refused" if said else "read"] += 1
        of_pixels = path.with_suffix(".bin").name  # the index of a cache is refused as its pixels are
        assert not said or path.name in said or of_pixels in said, f"seed {seed} of {kind} is not named: {said}"
        if len(names) > 1 or seed == EACH - 1:
            path.write_bytes(whole[name])
    report("records", outcomes)


def _refusal(read, run, case):
    """The message of an error that a command turns into exit code 2; empty if there is none."""
    try:
        read(run)
    except (ValueError, OSError) as error:
        return str(error)
    except Exception as error:
        raise AssertionError(case) from error
    return ""
