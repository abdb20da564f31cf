"""What a proof reads of a model file: its weights, and the values of its layers when it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tf_bridge.certify.file_layers import FileLayers, open_layers
from tf_bridge.certify.weight_check import stored_weights
from torchseg.modelfile.weights import StoredWeight

if TYPE_CHECKING:
    from onnx import ModelProto


class FileReader(Protocol):
    """Reads and runs one model file, in this process or, for a file of unknown origin, in another."""

    def weights(self) -> Sequence[StoredWeight]:
        """The kernel of each convolution and matrix product, as stored."""
        ...

    def layers(self) -> FileLayers:
        """Opens the file with the tensors of its layers exposed."""
        ...


ReadFile = Callable[[Path, "ModelProto | None"], FileReader]
"""Makes the reader of a file; for a packed file, from the network's float32 ONNX model as well, see `open_layers`."""


@dataclass(frozen=True)
class LocalFile:
    """Reads and runs a file in this process, which only suits a file that this process wrote.

    Attributes:
        path: of the file.
        graph: for a packed file, the network as a float32 ONNX model.
    """

    path: Path
    graph: ModelProto | None = None

    def weights(self) -> Sequence[StoredWeight]:
        """The kernel of each convolution and matrix product, as stored."""
        return stored_weights(self.path)

    def layers(self) -> FileLayers:
        """Opens the file with the tensors of its layers exposed."""
        return open_layers(self.path, self.graph)
