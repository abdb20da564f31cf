from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from torchseg.harness.csv_table import read_table
from torchseg.harness.measure.pixel_counts import MetricAccumulator
from torchseg.harness.scoring import waves
from torchseg.harness.scoring.artifact import Artifact
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.measurement import Measured
from torchseg.harness.scoring.score import score_artifacts
from torchseg.harness.scoring.waves import Room, needed_bytes, plan_waves, room_now
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=8, width=8, classes=("a", "b"))
MANY = 10**12


def _file(name, size=0):
    file = SimpleNamespace(path=Path(name), size_bytes=size)
    artifact = Artifact(path=Path(name), stage="student", format="onnx", precision="fp32", file=file)
    return Measured(artifact=artifact, name=name, key=name, spec=SPEC, threads=1, accumulator=MetricAccumulator(2))


def _plan(files, baselines, room):
    named = {each.key: each for each in files}
    found = plan_waves(files, lambda each: named.get(baselines.get(each.key)), room)
    return [("".join(each.key for each in wave.files), "".join(each.key for each in wave.again)) for wave in found]


def test_files_that_fit_are_one_wave_in_their_own_order():
    files = [_file(name) for name in "abcd"]
    assert _plan(files, {"d": "a"}, Room(processes=4, memory_bytes=MANY)) == [("abcd", "")]


def test_files_with_one_baseline_stand_together_and_an_earlier_baseline_is_timed_again():
    files = [_file(name) for name in "abcdef"]
    baselines = {"c": "a", "d": "b", "e": "a", "f": "a"}
    assert _plan(files, baselines, Room(processes=3, memory_bytes=MANY)) == [("ace", ""), ("fb", "a"), ("d", "b")]


def test_memory_bounds_a_wave_and_a_file_that_is_too_large_is_alone():
    files = [_file("a", size=10), _file("b", size=10**10), _file("c", size=10)]
    room = Room(processes=9, memory_bytes=3 * needed_bytes(files[0].artifact))
    assert _plan(files, {}, room) == [("a", ""), ("b", ""), ("c", "")]
    assert _plan(files, {"b": "a"}, room) == [("a", ""), ("b", "a"), ("c", "")]


def test_two_hundred_files_of_80_mb_take_at_most_4_gb_at_a_time():
    files = [_file(f"{at}", size=80 * 10**6) for at in range(200)]
    found = plan_waves(files, lambda each: None, Room(processes=MANY, memory_bytes=4 * 2**30))
    assert [each for wave in found for each in wave.files] == files
    assert max(sum(needed_bytes(each.artifact) for each in wave.every) for wave in found) <= 4 * 2**30
    assert len(found) < 25


def test_a_usual_run_is_one_wave():
    files = [Artifact(path=Path(f"{at}"), stage="s", format="torch", precision="fp32") for at in range(5)]
    sized = [_file(f"{at}", size=9 * 10**6).artifact for at in range(14)]
    assert Room(processes=99, memory_bytes=4 * 2**30).holds([*files, *sized])


def test_the_limit_of_open_files_and_free_memory_give_the_room(monkeypatch):
    resource = pytest.importorskip("resource", reason="there are such limits on POSIX alone")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    monkeypatch.setattr(waves.psutil, "Process", lambda: SimpleNamespace(num_fds=lambda: 10))
    monkeypatch.setattr(waves, "available_memory", lambda: 10**9)
    assert room_now() == Room(processes=16, memory_bytes=7 * 10**8)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20, 20))
    monkeypatch.setattr(waves, "available_memory", lambda: 10**12)
    assert room_now() == Room(processes=2, memory_bytes=4 * 2**30)


def test_waves_give_the_scores_that_one_wave_gives(
    checkpoint, onnx_file, random_samples, spec, tmp_path, monkeypatch, measure_here
):
    measure_here(monkeypatch)
    exported = {"stage": "student", "format": "onnx", "precision": "fp32", "reference": checkpoint}
    artifacts = [
        Artifact(path=checkpoint, stage="student", format="torch", precision="fp32"),
        *(Artifact(path=onnx_file, threads=threads, **exported) for threads in (1, 2)),
        Artifact(path=onnx_file, stage="other", format="onnx", precision="fp16", baseline=checkpoint, threads=1),
    ]
    config = LatencyConfig(rounds=2, repeats=1, warmup=1, max_rounds=2)
    tables = {}
    for processes in (9, 2):
        out, room = tmp_path / f"{processes}", Room(processes=processes, memory_bytes=MANY)
        monkeypatch.setattr("torchseg.harness.scoring.score.room_now", lambda room=room: room)
        assert score_artifacts(artifacts, random_samples(4), spec, out, config=config) == []
        tables[processes] = read_table(out / "scores.csv")
        assert len(read_table(out / "per_image.csv")) == 8
        assert (out / "figures/gallery.json").is_file()
    for whole, apart in zip(tables[9], tables[2], strict=True):
        same = ("artifact", "threads", "against", "miou", "argmax_agreement", "miou_difference", "error", "output_kind")
        assert {name: whole[name] for name in same} == {name: apart[name] for name in same}
        assert bool(whole["latency_ratio"]) == bool(apart["latency_ratio"])
    assert [bool(row["latency_ratio"]) for row in tables[2]] == [False, True, False, True]
