"""Exports and certifies one network of `zoo.py` in a process of its own; reads a request from stdin, prints a reply."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from prepared_network import arrays, predictor, settle_norms
from zoo_networks import NotBuiltError, zoo_network

from tf_bridge.certify.parity import compare
from tf_bridge.certify.verdict import verdict
from tf_bridge.conversion import Conversion
from torchseg.config import DataConfig
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.run.dataset import Pictures, open_pictures

CALIBRATED_WITH, JUDGED_ON = 8, 4
# A network with random weights has little accuracy to lose, so its logits are held to a limit as well.
MEAN_ERROR = 0.05  # of an int8 file, as a share of the range of the logits


def export_network(request: dict[str, Any]) -> dict[str, str]:
    """One sentence per file, by `PRECISION FORMAT`: empty if it is right, else what is wrong."""
    pictures = open_pictures(DataConfig(**request["data"]))
    try:
        network = zoo_network(request["network"], pictures.spec)
    except NotBuiltError as error:
        return {"not built": str(error)}
    try:
        settle_norms(network, pictures)
    except Exception as error:  # e.g. an image too small for the network
        return {"not built": f"does not run: {' '.join(str(error).split())[:200]}"}
    conversion = Conversion(network, pictures.spec)
    if request["translate_only"]:
        return {f"translated {kind}": conversion.refusal(kind) for kind in request["formats"]}
    found = {}
    for kind in request["formats"]:
        for precision in request["precisions"]:
            found[f"{precision} {kind}"] = _attempt(conversion, pictures, kind, Precision(precision))
    return found


def _attempt(conversion: Conversion, pictures: Pictures, kind: str, precision: Precision) -> str:
    try:
        return _problem(conversion, pictures, kind, precision)
    except ValueError as error:
        return f"refused: {' '.join(str(error).split())}"
    except Exception as error:  # a traceback is what this benchmark looks for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"TRACEBACK: {type(error).__name__} in {Path(last.filename).name}: {' '.join(str(error).split())[:300]}"


def _problem(conversion: Conversion, pictures: Pictures, kind: str, precision: Precision) -> str:
    spec = pictures.spec
    images, masks = arrays(pictures.validation, spec, JUDGED_ON)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"net.{kind}"
        conversion.write(path, precision=precision, calibration=arrays(pictures.train, spec, CALIBRATED_WITH)[0])
        predict = open_runtime(path).predict
        parity = compare(predictor(conversion.model), predict, images, masks, num_classes=spec.num_classes)
    problems = verdict(parity, precision)
    error = (parity.mean_abs_error or 0.0) / (parity.logit_range or 1.0)
    if precision is Precision.INT8 and not error <= MEAN_ERROR:
        problems.append(f"mean logit error is {100 * error:.1f} % of their range; expected {100 * MEAN_ERROR:.0f} %")
    return f"wrong: {'; '.join(problems)}" if problems else ""


if __name__ == "__main__":
    print(json.dumps(export_network(json.load(sys.stdin))))
