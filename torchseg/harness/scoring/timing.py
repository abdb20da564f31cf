"""Opens the files of a wave, times them in alternation, and inspects them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from torchseg.data import Sample
from torchseg.harness.preprocess import prepare
from torchseg.harness.scoring.latency import Latency, LatencyConfig, latency_ratio, measure_latency
from torchseg.harness.scoring.measurement import (
    Measured,
    inspect_measured,
    load_measured,
    start_measured,
    wait_for_measured,
)
from torchseg.harness.scoring.peak_memory import Probes
from torchseg.harness.scoring.waves import Wave
from torchseg.progress_bar import Progress

PHASE = "%s: %.1f s"  # log message with a phase and its duration
_log = logging.getLogger(__name__)


def measure_time(files: Sequence[Measured], sample: Sample, config: LatencyConfig) -> None:
    """Opens the files and times them on one image, then records their memory, weights and conditions."""
    with phase("opening"), Progress(len(files), "opening files") as display:
        open_files(files, after_each=display.advance)
    loaded = [measured for measured in files if not measured.reason]
    processes = [measured.process for measured in loaded if measured.process is not None]
    images = [prepare(sample.picture[None], measured.spec) for measured in loaded]  # (1, C, H, W) each
    with (
        phase("time"),
        Progress(config.most_rounds, "timing, rounds at most") as display,
        Probes(measured.threads for measured in loaded) as probes,
    ):
        outcomes = measure_latency(
            [*processes, *probes.processes],
            [*images, *probes.images],
            config,
            pairs=baselines_of(loaded),
            after_round=display.advance,
        )
        probes.note(outcomes[len(loaded) :])
    for measured, outcome in zip(loaded, outcomes, strict=False):
        if isinstance(outcome, Latency):
            measured.latency = outcome
        else:
            measured.reason = str(outcome)
    with phase("memory and inspection"), Progress(len(loaded), "inspecting files") as display:
        _inspect(loaded, probes, display, jobs=config.jobs)


def note_ratios(wave: Wave) -> None:
    """Compares the latency of each file with that of its baseline if both were timed."""
    timed = [each for each in wave.every if each.latency]
    for ours_at, theirs_at in baselines_of(timed):
        measured, baseline = timed[ours_at], timed[theirs_at]
        assert measured.latency
        assert baseline.latency
        measured.baseline = baseline.key
        measured.ratio = latency_ratio(measured.latency.recorded_ms, baseline.latency.recorded_ms)


def baselines_of(files: Sequence[Measured]) -> list[tuple[int, int]]:
    """Index pairs `(file, baseline)` for each file whose baseline is scored with the same number of threads."""
    known = {(each.artifact.folder, each.threads): at for at, each in reversed(list(enumerate(files)))}
    wanted = [(each.artifact.baseline_folder or each.artifact.folder, each.threads) for each in files]
    return [(at, known[key]) for at, key in enumerate(wanted) if known.get(key, at) != at]


def open_files(files: Sequence[Measured], *, after_each: Callable[[], None] = lambda: None) -> None:
    """Opens each file in its process; one that cannot be opened gets a `reason`."""
    for measured in files:
        start_measured(measured)
    for measured in files:
        wait_for_measured(measured)
    for measured in files:
        load_measured(measured)
        after_each()


def _inspect(loaded: Sequence[Measured], probes: Probes, display: Progress, *, jobs: int) -> None:
    with ThreadPoolExecutor(max_workers=jobs) as pool:  # processes may run in parallel: nothing is timed any more
        for _ in pool.map(inspect_measured, loaded):
            display.advance()
    for measured in loaded:
        if measured.latency and measured.info and measured.multiply_adds:
            measured.peak_share = probes.share(
                measured.multiply_adds,
                measured.latency,
                arithmetic=measured.info.arithmetic,
                threads=measured.threads,
            )


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Logs how long the block took."""
    begin = time.monotonic()
    yield
    _log.info(PHASE, name, time.monotonic() - begin)
