"""TorchScript and `.pt2` files as a checkpoint: the program itself is kept, because nothing can build it again."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from torchseg.adopt.archive import kind_of
from torchseg.models.external.program import ProgramNetwork
from torchseg.spec import ImageSpec
from torchseg.trusted_code import check_trusted, sha256_of_bytes, trust

_MOST = 1e-5  # difference between TorchScript and the program made of it, relative to the largest output (at least 1)


def program_of(path: Path, spec: ImageSpec) -> bytes:
    """The program of a TorchScript or `.pt2` file, as `torch.export.save` writes it.

    Args:
        path: of a file that the user trusts.
        spec: size of the images that TorchScript is converted for.

    Raises:
        ValueError: if the file is not trusted, or TorchScript cannot be converted.
    """
    content = path.read_bytes()
    check_trusted(sha256_of_bytes(content), what=str(path))
    if kind_of(path) == "exported":
        return content
    program = _converted(content, path, torch.zeros(1, spec.channels, spec.height, spec.width))
    trust(sha256_of_bytes(program))  # it does what the trusted file does
    return program


@torch.no_grad()
def _converted(content: bytes, path: Path, images: torch.Tensor) -> bytes:
    from torch._export.converter import TS2EPConverter

    script = load_script(content).eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = TS2EPConverter(script, (images,)).convert()
            same = exported.module()(images)
            buffer = io.BytesIO()
            torch.export.save(exported, buffer)
    except Exception as error:  # the converter raises classes whose only common base is Exception
        raise ValueError(
            f"{path} is TorchScript that PyTorch cannot convert ({str(error).strip().splitlines()[0]}); give --model "
            "and its weights: the network's own code builds it"
        ) from error
    expected = script(images)
    if isinstance(same, torch.Tensor) and isinstance(expected, torch.Tensor):
        difference = float((same - expected).abs().max())
        if not difference <= _MOST * max(1.0, float(expected.abs().max())):
            raise ValueError(f"{path} computes something else after its conversion (difference {difference:.2g})")
    return buffer.getvalue()


def load_script(content: bytes) -> torch.jit.ScriptModule:
    """The network of a trusted TorchScript file; PyTorch warns that the format is old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script: torch.jit.ScriptModule = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    return script


def program_network(program: bytes, path: Path, spec: ImageSpec) -> ProgramNetwork:
    """The network of a program; raises ValueError if it was exported for images of another size."""
    network = ProgramNetwork(program, what=str(path))
    expected = (spec.channels, spec.height, spec.width)
    if network.shape and network.shape[1:] != expected and network.one_by_one:
        channels, height, width = network.shape[1:]
        raise ValueError(
            f"{path} was exported for images of {channels} channels and {height}x{width}, the data gives "
            f"{spec.channels} channels and {spec.height}x{spec.width}; give --image_size {height},{width}"
        )
    return network
