"""Runs a Keras file in TensorFlow."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.adapter import FileAdapter, check_single_input
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.modelfile.keras.layers import check_keras_file
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.run_options import DEFAULT_OPTIONS, RunOptions


class TensorflowRuntime:
    """A Keras model, compiled to one TensorFlow function, on the CPU."""

    def __init__(self, *, threads: int) -> None:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # a user's keras.json may name another
        try:
            import tensorflow
        except ModuleNotFoundError as error:
            raise ImportError("running .keras files needs tensorflow: pip install 'torchseg-compress[tf]'") from error
        self._tf: Any = tensorflow
        self._threads = threads
        with suppress(RuntimeError):  # TensorFlow is initialised already, in a process that exports
            tensorflow.config.set_visible_devices([], "GPU")
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        self._function: Any = None
        self._adapter: FileAdapter | None = None
        self._path: Path | None = None

    def load(self, path: Path, options: RunOptions = DEFAULT_OPTIONS) -> None:
        """Opens the file, whose layers must be those of Keras; raises ValueError if it is damaged or takes no images.

        A layer that runs code of the file, or opens other files, is refused before Keras builds anything.
        """
        check_keras_file(path)
        try:
            model = self._tf.keras.models.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras, HDF5 and TensorFlow raise exceptions of many classes
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            raise ValueError(f"{path} is not a Keras file that Keras can open: {reason}") from error
        inputs = getattr(model, "inputs", None) or []
        check_single_input([str(each.name) for each in inputs])
        (image,) = inputs
        self._path = path
        file = ModelFile(path)  # not read here: that must not count as load time
        number = np.dtype(image.dtype)
        self._adapter = FileAdapter(
            tuple(image.shape),
            usual="NHWC",
            outputs=[str(each) for each in model.output_names],
            pixels=number.type if np.issubdtype(number, np.integer) else None,
            options=options,
            classes=lambda: file.num_classes,
        )
        self._function = self._tf.function(lambda batch: model(batch, training=False), autograph=False)

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of images `(B, C, H, W)`."""
        if self._adapter is None:
            raise ValueError("no .keras file is loaded; call load first")
        return self._adapter.predict(images, self._run)

    def _run(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        try:
            return [np.asarray(each) for each in self._tf.nest.flatten(self._function(self._tf.constant(batch)))]
        except self._tf.errors.OpError as error:
            raise ValueError(f"{self._path} fails while it runs: {error.message}; export it again") from error

    def describe(self) -> RuntimeInfo:
        """TensorFlow's version, number of threads and arithmetic."""
        return RuntimeInfo(
            name="tensorflow",
            version=version("tensorflow"),
            threads=self._threads,
            input_shape=self._adapter.shape if self._adapter else (),
            layout=self._adapter.layout if self._adapter else "NHWC",
            note=self._adapter.note if self._adapter else "",
            gives_classes=bool(self._adapter and self._adapter.gives_classes),
        )
