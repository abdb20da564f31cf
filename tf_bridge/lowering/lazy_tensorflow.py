"""Imports TensorFlow late and silently, with a clear message if it is not installed."""

from __future__ import annotations

import os
from contextlib import suppress

from tf_bridge.lowering.values import TensorFlow
from tf_bridge.quiet import quiet


def import_tensorflow() -> TensorFlow:
    """The `tensorflow` module, imported on the first call (about six seconds).

    Raises:
        ImportError: if TensorFlow is not installed; the message names the extra to install.
    """
    # TensorFlow reads this once, when its library is loaded; a level set by the user stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet():
            import tensorflow
    except ModuleNotFoundError as error:
        raise ImportError("exporting .tflite files needs TensorFlow: install torchseg-compress[tf]") from error
    # Files are converted and verified on the CPU. On a GPU, TensorFlow would reserve all memory, also that of a network
    # in training, and compute convolutions at lower precision.
    with suppress(RuntimeError):  # TensorFlow is initialised already: keep the devices that the caller chose
        tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow
