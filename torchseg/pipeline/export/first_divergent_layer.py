"""Names the first layer in which a file differs from its network, for the certificate of a file that fails."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.file_reader import FileReader
from tf_bridge.certify.first_difference import FirstDifference, first_difference
from torchseg.modelfile.precision import Precision

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_LOG = logging.getLogger(__name__)


def first_divergent_layer(
    path: Path,
    program: ExportedProgram,
    image: NDArray[np.float32],
    *,
    precision: Precision,
    picture: NDArray[np.uint8] | None = None,
    reader: FileReader | None = None,
) -> FirstDifference | None:
    """The first divergent layer between a file and its network on one image, as `first_difference` defines it.

    Takes seconds, so use it only for files that fail. Returns None, with a warning, if the file's layers cannot be
    matched with the network's.

    Args:
        path: the model file.
        program: the traced network.
        image: normalised, float32 `(1, C, H, W)`.
        precision: of the file.
        picture: the same image before normalisation, uint8 `(1, C, H, W)`, for end-to-end files.
        reader: reads and runs the file; by default, in this process.
    """
    try:
        return first_difference(program, path, image, precision=precision, picture=picture, reader=reader)
    except ValueError as error:
        _LOG.warning("which layer of %s differs first is not known: %s", path.name, error)
        return None
