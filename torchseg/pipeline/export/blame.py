"""Finds the layer to blame for a file that fails its certificate."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.first_difference import FirstDifference, first_difference
from torchseg.modelfile.precision import Precision

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_LOG = logging.getLogger(__name__)


def blame(
    path: Path,
    program: ExportedProgram,
    image: NDArray[np.float32],
    *,
    precision: Precision,
    picture: NDArray[np.uint8] | None = None,
) -> FirstDifference | None:
    """Where a file begins to differ from its network on one image, as `first_difference` tells it.

    Takes seconds, so it is for files that fail. None, with a warning, if the file's layers cannot be told apart.
    """
    try:
        return first_difference(program, path, image, precision=precision, picture=picture)
    except ValueError as error:
        _LOG.warning("which layer of %s differs first is not known: %s", path.name, error)
        return None
