"""Brings TensorFlow in: late, silent, and with a clear message when it is missing."""

from __future__ import annotations

import os

from tf_bridge.quantity import TensorFlow
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
    return tensorflow
