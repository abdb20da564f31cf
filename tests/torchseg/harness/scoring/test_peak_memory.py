from __future__ import annotations

import numpy as np
import pytest

from torchseg.harness.measure.multiply_adds import multiply_adds_in
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.harness.scoring.latency import Latency
from torchseg.harness.scoring.peak_memory import IMAGE_SHAPE, Probes, peak_kind, write_probes


def test_the_probes_do_the_work_that_they_say_they_do(tmp_path):
    for probe in write_probes(tmp_path).values():
        assert multiply_adds_in(probe.path, IMAGE_SHAPE) == probe.multiply_adds


def test_the_int8_probe_computes_in_int8(tmp_path):
    probe = write_probes(tmp_path)["int8"]
    runtime = open_runtime(probe.path)
    assert runtime.describe().arithmetic == "int8"
    assert len(np.unique(runtime.predict(np.random.default_rng(0).random(IMAGE_SHAPE, np.float32)))) > 2


@pytest.mark.parametrize(
    ("arithmetic", "kind"),
    [("int8", "int8"), ("int8 (dynamic)", "int8"), ("float32", "float32"), ("float32 from int8", "float32")],
)
def test_a_file_is_held_against_the_peak_of_the_numbers_it_multiplies(arithmetic, kind):
    assert peak_kind(arithmetic) == kind


def test_a_file_as_quick_as_the_probe_reaches_the_whole_peak():
    latency = Latency(recorded_ms=np.array([[2.0, 4.0]]))
    with Probes([1]) as probes:
        assert len(probes.processes) == len(probes.images) == 2
        probes.note([latency, latency])
        work = 4 * (64 * 3 * 32) ** 2
        assert probes.share(work, latency, arithmetic="float32", threads=1) == 1
        assert probes.share(work, Latency(recorded_ms=np.array([[8.0]])), arithmetic="float32", threads=1) == 0.25
        assert probes.share(work, latency, arithmetic="float32", threads=2) is None
