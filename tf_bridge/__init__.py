"""Exports PyTorch segmentation models to ONNX, TFLite and Keras, with a certificate of accuracy for every file."""

from tf_bridge.certify.certificate import (
    Evidence,
    hash_images,
    make_certificate,
    write_certificate,
)
from tf_bridge.certify.first_difference import FirstDifference, first_difference
from tf_bridge.certify.parity import Parity, Predict, compare
from tf_bridge.certify.verdict import verdict
from tf_bridge.conversion import Conversion
from tf_bridge.keras.export import export_keras
from tf_bridge.lowering.lower import UnsupportedOperatorError
from tf_bridge.mixed_precision.int8_or_float import AccuracyDrop, fewest_float_layers
from tf_bridge.onnx.export import OnnxShape, export_onnx
from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.certificate import certificate_path, read_certificate
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision

__all__ = [
    "AccuracyDrop",
    "Conversion",
    "Evidence",
    "FirstDifference",
    "OnnxShape",
    "Parity",
    "Precision",
    "Predict",
    "UnsupportedOperatorError",
    "certificate_path",
    "compare",
    "describe_file",
    "export_keras",
    "export_onnx",
    "export_tflite",
    "fewest_float_layers",
    "first_difference",
    "hash_images",
    "make_certificate",
    "read_certificate",
    "verdict",
    "write_certificate",
]
