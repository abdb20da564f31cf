"""Exports and certifies one network of `zoo.py` in a process of its own.

Reads a request from stdin. Prints a JSON object per file as soon as the file is judged: its `PRECISION FORMAT`, and
what is wrong with it, or an empty text.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import traceback
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from prepared_network import arrays, predictor, settle_norms
from zoo_networks import NotBuiltError, zoo_network
from zoo_table import ILL_CONDITIONED, NOT_BUILT

from tf_bridge.certify.description import description_problems
from tf_bridge.certify.file_layers import OUTPUT, Grid, open_layers
from tf_bridge.certify.layer_check import on_grid
from tf_bridge.certify.network_layers import IMAGE
from tf_bridge.certify.parity import Parity, compare
from tf_bridge.certify.proof import MAX_NOISE
from tf_bridge.certify.verdict import verdict
from tf_bridge.certify.weight_check import check_weights, simulated_weights
from tf_bridge.conversion import Conversion
from torchseg.config import DataConfig
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.model_file import complete_file
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.run.dataset import Pictures, open_pictures

CALIBRATED_WITH, JUDGED_ON = 8, 4
# A network with random weights has little accuracy to lose, so the logits of its int8 files are held to a limit as
# well. Rounding alone costs some networks more, so beyond it counts what rounding costs in PyTorch.
MEAN_ERROR = 0.05  # share of the range of the logits

Images = NDArray[np.float32]


def export_network(request: dict[str, Any]) -> Iterator[dict[str, str]]:
    """One sentence per file, by `PRECISION FORMAT`: empty if it is right, else what is wrong."""
    pictures = open_pictures(DataConfig(**request["data"]))
    try:
        network = zoo_network(request["network"], pictures.spec)
    except NotBuiltError as error:
        yield {NOT_BUILT: str(error)}
        return
    try:
        settle_norms(network, pictures)
    except Exception as error:  # e.g. an image too small for the network
        yield {NOT_BUILT: f"does not run: {' '.join(str(error).split())[:200]}"}
        return
    conversion = Conversion(network, pictures.spec)
    if request["translate_only"]:
        yield {f"translated {kind}": conversion.refusal(kind) for kind in request["formats"]}
        return
    judge = Judge(conversion, pictures)
    for kind in request["formats"]:
        for precision in request["precisions"]:
            yield {f"{precision} {kind}": _attempt(judge, kind, Precision(precision))}


def _attempt(judge: Judge, kind: str, precision: Precision) -> str:
    try:
        return judge.problem(kind, precision)
    except ValueError as error:
        return f"refused: {' '.join(str(error).split())}"
    except Exception as error:  # a traceback is what this benchmark looks for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"TRACEBACK: {type(error).__name__} in {Path(last.filename).name}: {' '.join(str(error).split())[:300]}"


class Judge:
    """Writes files of one network and judges them as certificates do, on a few images.

    Args:
        conversion: of the network.
        pictures: the validation split judges, the training split calibrates.
    """

    def __init__(self, conversion: Conversion, pictures: Pictures) -> None:
        self.conversion, self.spec = conversion, pictures.spec
        self.images, self.masks = arrays(pictures.validation, pictures.spec, JUDGED_ON)
        self.calibration = arrays(pictures.train, pictures.spec, CALIBRATED_WITH)[0]

    def problem(self, kind: str, precision: Precision) -> str:
        """Writes one file; returns what is wrong with it in a sentence, empty if it is right."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"net.{kind}"
            self.conversion.write(path, precision=precision, calibration=self.calibration)
            problems = self._problems(path, precision)
        if not problems:
            return ""
        if condition := self._ill_conditioned:
            return (
                f"{ILL_CONDITIONED}: in PyTorch, float32 against float64: {condition}; the file: {'; '.join(problems)}"
            )
        return f"wrong: {'; '.join(problems)}"

    def _problems(self, path: Path, precision: Precision) -> list[str]:
        predict = open_runtime(path).predict
        classes = self.spec.num_classes
        parity = compare(predictor(self.conversion.model), predict, self.images, self.masks, num_classes=classes)
        shown = [(image[None], image[None]) for image in self.images]
        proof = self.conversion.prove(path, shown, precision=precision, calibration=self.calibration)
        problems = [*verdict(parity, precision), *proof.failures]
        problems += description_problems(complete_file(path), self.spec, precision)
        return problems + (self._logit_problems(path, parity) if precision is Precision.INT8 else [])

    def _logit_problems(self, path: Path, parity: Parity) -> list[str]:
        error = (parity.mean_abs_error or 0.0) / (parity.logit_range or 1.0)
        if error <= MEAN_ERROR:
            return []
        predict = open_runtime(path).predict
        exact = predictor(self.conversion.model)(self.images)
        noise, least = (_mean_square(found - exact) for found in (predict(self.images), self._rounded(path)))
        if noise <= MAX_NOISE[Precision.INT8] * least:
            return []
        limit = MAX_NOISE[Precision.INT8]
        return [
            f"mean logit error is {100 * error:.1f} % of their range; expected {100 * MEAN_ERROR:.0f} %, or a mean "
            f"square of at most {limit:g} times what rounding costs in PyTorch; it is {noise / least:.2g} times"
        ]

    def _rounded(self, path: Path) -> Images:
        """Logits `(B, K, H, W)` of the network in PyTorch, with what the file holds as integers rounded to 8 bits.

        Values are rounded to 256 steps of their own range on the calibration images, whatever grid the file has.
        """
        network, kept = self.conversion.layers, {}
        ranges = self.conversion.ranges(self.calibration)
        weights = simulated_weights(network, check_weights(path, network))
        integers = {network.output if name == OUTPUT else name for name in open_layers(path).grids} | {IMAGE}

        def visit(name: str, value: Images) -> Images | None:
            low, high = ranges.get(name, (0.0, 0.0))
            rounded = on_grid(value, Grid((high - low) / 255, low, high)) if name in integers and low < high else value
            kept[name] = rounded
            return rounded

        logits = []
        for image in self.images:
            network.run(image[None], visit, weights=weights)
            logits.append(kept[network.output])
        return np.concatenate(logits)

    @cached_property
    def _ill_conditioned(self) -> str:
        """What certificates would say of PyTorch's float32, held against float64; empty if they say nothing."""
        exact = copy.deepcopy(self.conversion.model).double()

        def predict(images: Images) -> Images:
            with torch.no_grad():
                return np.asarray(exact(torch.from_numpy(images).double()).float().numpy())

        try:
            own = predictor(self.conversion.model)
            parity = compare(predict, own, self.images, self.masks, num_classes=self.spec.num_classes)
        except RuntimeError:  # the network's code makes float32 tensors
            return ""
        return "; ".join(verdict(parity, Precision.FP32))


def _mean_square(values: Images) -> float:
    return float(np.square(values, dtype=np.float64).mean())


if __name__ == "__main__":
    for reply in export_network(json.load(sys.stdin)):
        print(json.dumps(reply), flush=True)
