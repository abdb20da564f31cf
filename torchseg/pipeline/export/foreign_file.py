"""A model file of unknown origin, whose layers and weights are read in a process with limits on time and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from numpy.typing import NDArray

from tf_bridge.certify.file_layers import FileLayers, Grid, Values, open_layers
from torchseg.harness.measure.weights import weights_in
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.worker import Worker
from torchseg.modelfile.weights import StoredWeight

if TYPE_CHECKING:
    from onnx import ModelProto

_Grids = dict[str, tuple[float, float, float]]


class ForeignFile(RuntimeProcess):
    """Opens one model file in a process of its own, which also reads its weights and shows what its layers compute."""

    WORKER: ClassVar[str] = f"{__name__}:LayersWorker"
    stored: list[StoredWeight] | None = None  # the weights in the file, once they were read

    def reader(self, path: Path, graph: ModelProto | None = None) -> ForeignReader:
        """Reads this file for a proof, as `ReadFile` of the bridge asks; the process must have loaded the file."""
        assert path == self.path, "each file has a process of its own"
        return ForeignReader(self, graph)

    def stored_weights(self) -> list[StoredWeight]:
        """The kernel of each convolution and matrix product, as stored; raises RuntimeProcessError."""
        self.stored = cast("list[StoredWeight]", self._call("stored_weights"))
        return self.stored

    def open_layers(self, graph: ModelProto | None) -> _Grids:
        """Opens the file once more, with its layers exposed; returns their grids. Raises RuntimeProcessError."""
        return cast(_Grids, self._call("open_layers", graph.SerializeToString() if graph is not None else None))

    def run_layers(self, image: NDArray[Any]) -> Values:
        """What the layers compute for one image, see `file_layers`; raises RuntimeProcessError."""
        return cast(Values, self._call("run_layers", image))


@dataclass(frozen=True)
class ForeignReader:
    """What a proof reads of a file that is open in another process.

    Attributes:
        file: has been loaded.
        graph: for a packed file, the network as a float32 ONNX model.
    """

    file: ForeignFile
    graph: ModelProto | None

    def weights(self) -> Sequence[StoredWeight]:
        """The kernel of each convolution and matrix product, as stored."""
        return self.file.stored_weights()

    def layers(self) -> FileLayers:
        """Opens the file with the tensors of its layers exposed."""
        return _ForeignLayers(self.file, self.graph)


class _ForeignLayers:
    """A file with the tensors of its layers exposed, in another process."""

    def __init__(self, file: ForeignFile, graph: ModelProto | None) -> None:
        self.grids = {name: Grid(*values) for name, values in file.open_layers(graph).items()}
        self._run = file.run_layers

    def run(self, image: NDArray[Any]) -> Values:
        """Intermediate values by tensor name, see `file_layers`."""
        return self._run(image)


class LayersWorker(Worker):
    """What the process does for a `ForeignFile`."""

    def __init__(self, name: str, threads: int) -> None:
        super().__init__(name, threads)
        self._layers: FileLayers | None = None

    def stored_weights(self) -> list[StoredWeight]:
        """The weights of the loaded file."""
        return list(weights_in(self.path))

    def open_layers(self, graph: bytes | None) -> _Grids:
        """Opens the loaded file again with its layers exposed; `graph` is a serialised ONNX model, or None."""
        self._layers = open_layers(self.path, _parsed(graph))
        return {name: astuple(grid) for name, grid in self._layers.grids.items()}

    def run_layers(self, image: NDArray[Any]) -> Values:
        """Intermediate values by tensor name."""
        assert self._layers is not None, "open_layers comes first"
        return self._layers.run(image)


def _parsed(graph: bytes | None) -> ModelProto | None:
    if graph is None:
        return None
    import onnx

    return onnx.load_model_from_string(graph)
