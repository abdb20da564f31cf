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
from rounding_cost import times_rounding
from zoo_networks import NotBuiltError, zoo_network
from zoo_table import ILL_CONDITIONED, NOT_BUILT

from tf_bridge.certify.description import description_problems
from tf_bridge.certify.parity import Parity, compare
from tf_bridge.certify.proof import MAX_NOISE
from tf_bridge.certify.verdict import verdict
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
        logits, limit = open_runtime(path).predict(self.images), MAX_NOISE[Precision.INT8]
        times = times_rounding(path, self.conversion, logits, self.images, self.calibration)
        if times <= limit:
            return []
        return [
            f"mean logit error is {100 * error:.1f} % of their range; expected {100 * MEAN_ERROR:.0f} %, or a mean "
            f"square of at most {limit:g} times what rounding costs in PyTorch; it is {times:.2g} times"
        ]

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


if __name__ == "__main__":
    for reply in export_network(json.load(sys.stdin)):
        print(json.dumps(reply), flush=True)
