"""The part of `clustering_peer.py` that runs in the peer's environment, without this project.

Reads weights from one .npz file, clusters them with the toolkit's public functions, writes them to another .npz file,
and prints the process time of each repeat in seconds as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the toolkit supports only Keras 2
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights


def main() -> int:
    source, target, clusters, start, repeats, threads = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    weights = dict(np.load(source))
    seconds = []
    for _ in range(1 + int(repeats)):  # the first repeat includes the set-up of TensorFlow and is not counted
        model = _model(weights)
        started = time.process_time()
        clustered = cluster_weights(
            model,
            number_of_clusters=int(clusters),
            cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization[start],
            preserve_sparsity=True,
        )
        stripped = tfmot.clustering.keras.strip_clustering(clustered)
        seconds.append(time.process_time() - started)
    np.savez(target, **{name: stripped.get_layer(name).get_weights()[0] for name in weights})
    print(json.dumps(seconds[1:]))
    return 0


def _model(weights: dict[str, np.ndarray]) -> Any:
    """A Keras model with one convolution, and one input, per weight; so the widths need not match."""
    layers = tf.keras.layers
    inputs, outputs = [], []
    for name, weight in weights.items():
        height, width, channels, filters = weight.shape
        image = layers.Input((8, 8, channels), name=f"input_{name}")
        convolution = layers.Conv2D(filters, (height, width), padding="same", use_bias=False, name=name)
        inputs.append(image)
        outputs.append(convolution(image))
        convolution.set_weights([weight])
    return tf.keras.Model(inputs, outputs)


if __name__ == "__main__":
    sys.exit(main())
