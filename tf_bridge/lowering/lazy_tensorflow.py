"""Brings TensorFlow in: late, silent, and with a clear message when it is missing."""

from __future__ import annotations

import os
from contextlib import suppress

from tf_bridge.lowering.values import TensorFlow
from tf_bridge.quiet import quiet


def import_tensorflow() -> TensorFlow:
    """The `tensorflow` module, imported on the first call (about six seconds).

    Raises:
        ImportError: naming the extra to install.
    """
    # Read once, when TensorFlow's library is loaded; a level that the user chose stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet():
            import tensorflow
    except ModuleNotFoundError as error:
        raise ImportError("exporting .tflite files needs TensorFlow: install torchseg-compress[tf]") from error
    # Files are converted and proven on the CPU. A GPU would be taken whole, from a network that trains on it, and
    # computes convolutions with shorter fractions.
    with suppress(RuntimeError):  # it computes already, where its caller wants it to
        tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow
