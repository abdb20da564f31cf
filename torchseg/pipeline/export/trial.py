"""Tries, before a network is trained, whether it can be exported.

The child process is `python -m torchseg.pipeline.export.trial`; it reads a request from stdin and prints the reply.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from torchseg.atomic_file import save_text
from torchseg.checkpoint import Card
from torchseg.modelfile.kinds import FORMATS
from torchseg.models import MODELS, fold_branches, parse_arguments, rebuild_model
from torchseg.pipeline.run.folder import Stage
from torchseg.processes.exit_code import cause_of_end
from torchseg.processes.group import end_with_starter
from torchseg.record import plain_json
from torchseg.spec import ImageSpec

TRIALS = "export_trials"
_LOG = logging.getLogger(__name__)

Refusals = dict[str, str]
"""Why a network cannot be exported, keyed by format; empty text for a format that it can be exported to."""


def trial_stage(card: Card, formats: Iterable[str], *, writes: bool = True) -> Iterator[Stage]:
    """The stage that refuses a network which cannot be exported; none if there is nothing to try.

    The network is traced and translated with random weights, but not converted or quantized. That still takes seconds,
    many of them for the import of TensorFlow. So the networks of this project, all of which the test suite exports to
    both formats, are not tried, and a run that goes on does not try again.

    Args:
        card: of the network, which need not be trained yet.
        formats: to export to, as `ALL_FORMATS` names them.
        writes: whether this process does the work; the other processes of the run wait.

    Raises:
        ValueError: when the stage runs, if the network cannot be exported to one of the formats.
    """
    wanted, output = sorted(set(formats)), f"{TRIALS}/{card.stage}.json"
    if card.builder in MODELS or not wanted:
        return

    def run(work: Path) -> None:
        if not writes:
            return
        found = refusals(card, wanted)
        check_refusals(card, found, wanted)
        (work / TRIALS).mkdir(exist_ok=True)
        save_text(work / output, json.dumps(found, indent=2) + "\n")

    inputs = {**_request(card), "formats": wanted, "version": 1}
    yield Stage(name=f"{TRIALS}/{card.stage}", inputs=inputs, outputs=[output], run=run)


def planned(model: str, arguments: str, spec: ImageSpec, *, stage: str) -> Card:
    """The card of a network that is not trained yet, from the flags that name it."""
    return Card(builder=model, arguments=parse_arguments(arguments), spec=spec, stage=stage)


def check_refusals(card: Card, found: Refusals, formats: Collection[str]) -> None:
    """Raises ValueError if the network cannot be exported to one of the formats; names those that it can."""
    refused = [name for name in formats if found.get(name)]
    if not refused:
        return
    working = ",".join(name for name, reason in found.items() if not reason)
    advice = f"give --formats {working}, or another network" if working else "choose another network"
    reasons = "; ".join(f"to {name}: {found[name]}" for name in refused)
    raise ValueError(
        f"the {card.stage} network {card.builder} cannot be exported {reasons}. Nothing was trained: {advice}"
    )


def refusals(card: Card, formats: Iterable[str] = ()) -> Refusals:
    """Translates a network with random weights to ONNX, TFLite and these formats, in a child process.

    A process that does not train should hold no TensorFlow: it starts threads, which loaders that fork may not survive.
    If the child process fails as a whole, no format counts as refused; the export itself will report the cause.
    """
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "torchseg.pipeline.export.trial"],
        env={**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"},
        input=json.dumps({**_request(card), "formats": list(dict.fromkeys([*FORMATS, *formats]))}),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    try:
        reply: Refusals = plain_json(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        said = (done.stderr.strip().splitlines() or [""])[-1]
        cause = cause_of_end(done.returncode)
        _LOG.warning("whether %s can be exported was not tried: %s (%s)", card.builder, cause, said)
        return {}
    return reply


def _request(card: Card) -> dict[str, Any]:
    return {"builder": card.builder, "arguments": dict(card.arguments), "spec": card.spec.to_dict()}


def _serve(request: dict[str, Any]) -> Refusals:
    """Runs in the child."""
    from tf_bridge.conversion import Conversion

    spec = ImageSpec.from_dict(request["spec"])
    network = rebuild_model(request["builder"], request["arguments"], spec).eval()
    fold_branches(network)
    conversion = Conversion(network, spec)
    found = {}
    for name in request["formats"]:
        try:
            found[name] = conversion.refusal(name)
        except ImportError:  # not installed, so not wanted
            continue
    return found


if __name__ == "__main__":
    end_with_starter()
    print(json.dumps(_serve(plain_json(sys.stdin.read()))))
