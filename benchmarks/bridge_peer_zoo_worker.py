"""Converts one network of `bridge_peer_zoo.py` with this project and with its peers, in a process of its own.

Reads a request from stdin. Prints a JSON object per converter as soon as its file is judged: what is wrong with the
file, or an empty text, the CPU seconds of the conversion, and the bytes of the file; and one with the image's size.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bridge_peer import WORKER, peer_environment
from prepared_network import arrays, predictor, settle_norms
from torch import nn
from zoo_networks import NotBuiltError, zoo_network
from zoo_table import NOT_BUILT

from tf_bridge.certify.parity import compare
from tf_bridge.certify.verdict import verdict
from tf_bridge.conversion import Conversion
from tf_bridge.tracing import first_line
from torchseg.config import DataConfig
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.processes.child_limits import limit_own_memory
from torchseg.processes.exit_code import cause_of_end
from torchseg.spec import ImageSpec

if sys.platform != "win32":
    import resource

JUDGED_ON = 4
WAIT = 5
"""How many times as long as it may compute a conversion may take, on a machine that does other things as well."""


Result = dict[str, Any]  # `said`, `seconds`, `bytes`


def convert_network(request: dict[str, Any]) -> Iterator[Result]:
    """One result per converter, by its name; or under `NOT_BUILT` why there is nothing to convert."""
    try:
        network, pictures = _running(request)
    except NotBuiltError as error:
        yield {NOT_BUILT: str(error)}
        return
    yield {"size": _size(pictures.spec)}
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(network, pictures, Path(name))
        yield {"ours": bench.result(bench.ours)}
        for tool, python in request["peers"].items():
            yield {tool: bench.of_peer(tool, python, limit_s=request["limit_s"])}


def _running(request: dict[str, Any]) -> tuple[nn.Module, Pictures]:
    """The network, and images of the first size that it takes; raises NotBuiltError if it takes none."""
    failure = NotBuiltError("no size was given")
    for size in request["sizes"]:
        pictures = open_pictures(DataConfig(**request["data"], image_size=size))
        network = zoo_network(request["network"], pictures.spec)
        try:
            settle_norms(network, pictures)
        except Exception as error:  # e.g. an image too small for the network
            failure = NotBuiltError(f"does not run: {first_line(error)[:200]}")
        else:
            return network, pictures
    raise failure


def _size(spec: ImageSpec) -> str:
    """`64`, or `96x160` for other than squares."""
    return f"{spec.height}" if spec.height == spec.width else f"{spec.height}x{spec.width}"


class Bench:
    """Converts one network with any converter, and judges the fp32 files as certificates judge their logits.

    Args:
        network: in eval mode.
        pictures: the validation split judges.
        folder: for the files.
    """

    def __init__(self, network: nn.Module, pictures: Pictures, folder: Path) -> None:
        self.network, self.spec, self.folder = network, pictures.spec, folder
        self.conversion = Conversion(network, pictures.spec)
        self.images, self.masks = arrays(pictures.validation, pictures.spec, JUDGED_ON)

    def of_peer(self, tool: str, python: str, *, limit_s: float) -> Result:
        """Result of a peer. If a peer reads ONNX, the better of this project's file and that of PyTorch's exporter."""
        sources: list[Callable[[Path], None]] = [self.program]
        if tool == "onnx2tf":
            sources = [self.own_onnx, self.plain_onnx]
        result = {"said": "", "seconds": None, "bytes": None}
        for index, source in enumerate(sources):
            folder = self.folder / f"{tool}{index}"
            folder.mkdir()
            before, result = result, self._attempt_peer(tool, python, source, folder, limit_s)
            if not result["said"]:
                return result
        return before if len(sources) > 1 else result

    def _attempt_peer(
        self, tool: str, python: str, source: Callable[[Path], None], folder: Path, limit_s: float
    ) -> Result:
        np.save(folder / "calibration.npy", np.ascontiguousarray(self.images.transpose(0, 2, 3, 1)))
        try:
            source(folder)
        except Exception as error:  # what cannot be traced cannot be given to a peer
            return {"said": f"PyTorch cannot trace it: {first_line(error)[:200]}", "seconds": None, "bytes": None}
        return self.result(partial(run_peer, tool, python, folder, limit_s))

    def ours(self) -> Path:
        """Writes this project's file."""
        path = self.folder / "ours.tflite"
        self.conversion.write(path)
        return path

    def program(self, folder: Path) -> None:
        """Writes the traced network for litert-torch."""
        torch.export.save(torch.export.export(self.network, self._example), folder / "program.pt2")

    def own_onnx(self, folder: Path) -> None:
        """Writes this project's ONNX file."""
        self.conversion.write(folder / "network.onnx")

    def plain_onnx(self, folder: Path) -> None:
        """Writes the ONNX file of PyTorch's exporter as it is."""
        names = {"input_names": ["image"], "output_names": ["logits"]}
        made = torch.onnx.export(self.network, self._example, dynamo=True, verbose=False, **names)  # type: ignore[arg-type]
        assert made is not None
        made.save(str(folder / "network.onnx"), external_data=False)

    @property
    def _example(self) -> tuple[torch.Tensor]:
        return (torch.from_numpy(self.images[:1]),)

    def result(self, convert: Callable[[], Path]) -> Result:
        """Converts, and judges the file."""
        started = _cpu_seconds()
        try:
            path = convert()
        except Exception as error:  # the table shows the failure
            said = f"not converted: {first_line(error)[:300]}"
            return {"said": said, "seconds": round(_cpu_seconds() - started, 1), "bytes": None}
        seconds = round(_cpu_seconds() - started, 1)
        return {"said": self._problem(path), "seconds": seconds, "bytes": path.stat().st_size}

    def _problem(self, path: Path) -> str:
        """What is wrong with a file: nothing if its logits are as close as those of our own fp32 files must be."""
        process = RuntimeProcess(path)
        try:
            process.load()
        except ValueError as error:
            process.close()
            return f"does not run: {first_line(error).replace(str(path), 'it')[:300]}"
        try:
            parity = compare(
                predictor(self.network), process.predict, self.images, self.masks, num_classes=self.spec.num_classes
            )
        except ValueError as error:
            return f"wrong: {first_line(error)[:300]}"
        finally:
            process.close()
        problems = verdict(parity, Precision.FP32)
        return f"wrong: {'; '.join(problems)}" if problems else ""


def _cpu_seconds() -> float:
    """Of this process and the processes that it started and that have ended; a busy machine does not change them."""
    return sum(os.times()[:4])


def run_peer(tool: str, python: str, folder: Path, limit_s: float) -> Path:
    """Runs a peer's fp32 conversion in its environment, and returns the path of the file.

    Args:
        tool: the peer.
        python: of its environment.
        folder: with its inputs, and for its files.
        limit_s: seconds of the CPU; a busy machine may take `WAIT` times as long.

    Raises:
        RuntimeError: with what the peer said, or how it ended, if it wrote no file.
    """
    command, variables = [python, str(WORKER), tool, str(folder), "fp32"], peer_environment(Path(python))
    limit = partial(_limit_cpu, math.ceil(limit_s)) if sys.platform != "win32" else None
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=WAIT * limit_s, check=False, env=variables, preexec_fn=limit
        )
    except subprocess.TimeoutExpired as late:
        raise RuntimeError(f"took more than {WAIT * limit_s:g} s") from late
    if sys.platform != "win32" and done.returncode == -signal.SIGXCPU:
        raise RuntimeError(f"took more than {limit_s:g} s of the CPU")
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
        raise RuntimeError(f"{cause_of_end(done.returncode)}: {last}")
    said = json.loads(done.stdout.decode().splitlines()[-1])["fp32"]
    if said:
        raise RuntimeError(said)
    return folder / tool / "fp32.tflite"


def _limit_cpu(seconds: int) -> None:
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))


if __name__ == "__main__":
    limit_own_memory()
    torch.set_num_threads(1)
    for reply in convert_network(json.load(sys.stdin)):
        print(json.dumps(reply), flush=True)
