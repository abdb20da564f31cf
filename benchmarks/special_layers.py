"""Exports networks with one special layer each to both formats and compares every file with its network.

    PYTHONPATH=. python benchmarks/special_layers.py --formats tflite,onnx --precisions fp32

Prints for every layer and format whether the file is right, rounded, wrong or refused (with the message), or the export
ends in a traceback, and the counts. The networks are those of tests/special_layers.py. Exits with 1 if a file is wrong
or an export ends in a traceback.

Rounding alone can change a class where two are nearly tied, and what follows with it. An int8 file beyond the limit is
called `rounded`, and not right, if the mean square of all errors is at most twice what rounding costs in PyTorch.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rounding_cost import logits_of, times_rounding

import torchseg  # noqa: F401 - mends torchvision before anything imports it
from tests.special_layers import CLASSES, SIZE, SPECIAL_LAYERS, build_special
from tf_bridge.certify.proof import MAX_NOISE
from tf_bridge.conversion import Conversion
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=SIZE[0], width=SIZE[1], classes=tuple(f"class{index}" for index in range(CLASSES)))
# Largest logit error of a file that is right, as a share of the logits' range. Steps and ties cost int8 more.
LIMITS = {Precision.FP32: 1e-4, Precision.FP16: 2e-2, Precision.DYNAMIC: 0.1, Precision.INT8: 0.25}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the outcomes; returns 1 if any is wrong or a traceback."""
    arguments = _arguments(argv)
    torch.set_num_threads(1)
    counts: Counter[tuple[str, str]] = Counter()
    for name in arguments.layers:
        network = build_special(name)
        conversion = Conversion(network, SPEC)
        for precision in arguments.precisions:
            for kind in arguments.formats:
                outcome, detail = _outcome(conversion, kind, precision)
                counts[f"{kind} {precision}", outcome] += 1
                print(f"{kind} {precision} | {name} | {outcome} | {detail}", flush=True)
    for (files, outcome), count in sorted(counts.items()):
        print(f"{files}: {count} {outcome}")
    return int(any(outcome in ("wrong", "traceback") for _, outcome in counts))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", default=list(SPECIAL_LAYERS), metavar="LAYER", help="default: all")
    parser.add_argument("--formats", type=lambda text: text.split(","), default=["tflite", "onnx"])
    parser.add_argument(
        "--precisions", type=lambda text: [Precision(each) for each in text.split(",")], default=[Precision.FP32]
    )
    return parser.parse_args(argv)


def _outcome(conversion: Conversion, kind: str, precision: Precision) -> tuple[str, str]:
    """What became of one file, and its error or what was said."""
    images = np.random.default_rng(0).standard_normal((4, 3, *SIZE)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"net.{kind}"
        try:
            conversion.write(path, precision=precision, calibration=images if precision is Precision.INT8 else None)
        except ValueError as refusal:
            return ("refused" if "\n" not in str(refusal) else "traceback"), str(refusal)
        except Exception as failure:  # the outcome that this command looks for
            return "traceback", repr(failure).splitlines()[0]
        try:
            return _judged(conversion, path, images, precision)
        except Exception as failure:  # a file that no runtime opens is wrong
            return "wrong", repr(failure).splitlines()[0]


def _judged(conversion: Conversion, path: Path, images: NDArray[np.float32], precision: Precision) -> tuple[str, str]:
    """Whether a file is right, and its largest error as a share of the range of the logits."""
    logits, expected = open_runtime(path).predict(images), logits_of(conversion, images)
    difference = np.abs(logits - expected)
    error = float(np.max(difference)) / float(np.ptp(expected)) if np.isfinite(difference).all() else float("inf")
    if error <= LIMITS[precision]:
        return "right", f"{error:.2g}"
    if precision is not Precision.INT8 or not np.isfinite(error):
        return "wrong", f"{error:.2g}"
    times = times_rounding(path, conversion, logits, images, images)
    return "rounded" if times <= MAX_NOISE[precision] else "wrong", f"{error:.2g}, {times:.2g} times rounding"


if __name__ == "__main__":
    sys.exit(main())
