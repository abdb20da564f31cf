"""Breaks down the time of one model file: latency, share of the CPU's peak, costliest layers, and their causes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from torchseg.harness.format import milliseconds, percent, with_counts
from torchseg.harness.measure.layer_profile import Profile
from torchseg.harness.measure.weights import WeightCount
from torchseg.harness.report.advice import explain, explain_profile
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency
from torchseg.harness.scoring.peak_memory import Probes, peak_kind
from torchseg.plural import counted

_NAME_WIDTH = 48


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What was measured for one model file in one runtime.

    Attributes:
        info: conditions of the measurement.
        latency: of whole predictions, without a profiler.
        profile: time per layer.
        weights: zeros and distinct values; None if they cannot be read.
        multiply_adds: for one image; None if the file does not declare its tensor shapes.
        peak_share: share of the CPU's measured peak; None if unknown.
    """

    info: RuntimeInfo
    latency: Latency
    profile: Profile
    weights: WeightCount | None
    multiply_adds: int | None
    peak_share: float | None


def measure_explanation(
    path: Path, image_shape: Sequence[int], *, runtime: str | None, config: LatencyConfig
) -> Explanation:
    """Times a file and its layers on a random image of shape `(1, C, H, W)`; latency does not depend on the content.

    Raises:
        RuntimeProcessError: if the file cannot be opened or run.
        ValueError: if the kind of file or the runtime is unknown.
    """
    image = np.random.default_rng(0).normal(size=tuple(image_shape)).astype(np.float32)
    with RuntimeProcess(path, name=runtime, threads=config.threads) as process, Probes([config.threads]) as probes:
        process.load()
        latency, *peaks = measure_latency([process, *probes.processes], [image, *probes.images], config)
        if isinstance(latency, RuntimeProcessError):
            raise latency
        probes.note(peaks)
        info, profile = process.describe(), process.profile(image)
        weights, work = None, None
        with suppress(RuntimeProcessError):  # some files run although their weights cannot be read
            weights, work = process.count_weights(), process.multiply_adds(image.shape)
        return Explanation(
            info=info,
            latency=latency,
            profile=profile,
            weights=weights,
            multiply_adds=work,
            peak_share=probes.share(work, latency, arithmetic=info.arithmetic, threads=config.threads)
            if work
            else None,
        )


def explanation_lines(found: Explanation, *, count: int = 10) -> list[str]:
    """The explanation as lines of text: facts, the `count` costliest layers, advice."""
    return [*_facts(found), "", *_layers(found.profile, count), *_kinds(found.profile), *_sentences(found)]


def _facts(found: Explanation) -> list[str]:
    info, profile = found.info, found.profile
    shape = "x".join(str(side or "?") for side in info.input_shape)
    lines = [
        f"  runtime     {info.name} {info.version}, {counted(info.threads, 'thread')}, computes in {info.arithmetic}",
        f"  input       {shape} ({info.layout})",
        f"  time        {milliseconds(found.latency.min_ms)} minimum, {milliseconds(found.latency.median_ms)} median",
    ]
    if found.multiply_adds:
        rate = found.multiply_adds / found.latency.min_ms / 1e6
        share = f", {percent(found.peak_share, digits=0)} of the {peak_kind(info.arithmetic)} peak measured beside it"
        lines.append(
            f"  work        {found.multiply_adds / 1e6:.1f} million multiply-adds, {rate:.1f} billion a second"
            + (share if found.peak_share else "")
        )
    if profile.fast is not None:
        left = len(info.leftovers)
        taken = len(profile.layers) - left
        lines.append(
            f"  fast path   {info.fast_path} took {taken} of {len(profile.layers)} operators"
            f" ({percent(profile.fast, digits=0)})" + (f", left over: {with_counts(info.leftovers)}" if left else "")
        )
    return lines


def _layers(profile: Profile, count: int) -> list[str]:
    shown = profile.costliest(count)
    lines = [
        f"  the {len(shown)} costliest of {len(profile.layers)} layers, which take "
        f"{milliseconds(profile.total_ms)} together ({profile.method}):",
        f"  {'ms':>8}  {'share':>6}  {'kind':<20}  {'layer':<{_NAME_WIDTH}}  note",
    ]
    for layer in shown:
        share = layer.milliseconds / profile.total_ms if profile.total_ms else 0.0
        name = layer.name if len(layer.name) <= _NAME_WIDTH else "..." + layer.name[3 - _NAME_WIDTH :]
        lines.append(
            f"  {layer.milliseconds:8.3f}  {100 * share:5.1f}%  {layer.kind:<20}  {name:<{_NAME_WIDTH}}  {layer.note}"
        )
    return lines


def _kinds(profile: Profile) -> list[str]:
    times: dict[str, float] = {}
    for layer in profile.layers:
        times[layer.kind] = times.get(layer.kind, 0.0) + layer.milliseconds
    most = sorted(times.items(), key=lambda each: -each[1])[:6]
    whole = profile.total_ms or 1.0
    return ["", "  by kind     " + ", ".join(f"{kind} {100 * taken / whole:.0f} %" for kind, taken in most)]


def _sentences(found: Explanation) -> list[str]:
    info = found.info
    row = {
        "arithmetic": info.arithmetic,
        "runtime": info.name,
        "fast_path": info.fast_path,
        "leftovers": " ".join(info.leftovers),
        "sparsity": str(found.weights.sparsity) if found.weights else "",
        "noisy": str(found.latency.noisy).lower(),
    }
    sentences = [*explain(row), *explain_profile(found.profile, arithmetic=info.arithmetic)]
    return ["", *(f"  - {sentence}" for sentence in sentences)] if sentences else []
