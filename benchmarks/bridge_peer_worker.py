"""The part of `bridge_peer.py` that runs in a peer's environment, without this project.

Reads FOLDER/program.pt2 (from `torch.export`) or FOLDER/network.onnx, and FOLDER/calibration.npy: normalised images,
float32 `(B, H, W, C)`. Writes FOLDER/TOOL/PRECISION.tflite with the tool's public functions, and prints one error per
file as JSON, `null` for success. Called as `TOOL FOLDER`, or `TOOL FOLDER fp32` for the fp32 file alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np


def main() -> int:
    tool, folder = sys.argv[1], Path(sys.argv[2])
    (folder / tool).mkdir()
    calibration = np.load(folder / "calibration.npy")
    precisions = sys.argv[3:] or ["fp32", "fp16", "dynamic", "int8", "int8_minmax"]
    answer = {"litert": _litert, "onnx2tf": _onnx2tf}[tool](folder, calibration, precisions)
    print(json.dumps(answer))
    return 0


def _attempt(path: Path, write: Callable[[], object]) -> str | None:
    """Calls `write` and returns the error in one line, or None if it wrote the file."""
    try:
        write()
    except Exception as error:  # the table shows the failure
        return f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return None if path.exists() else "no file was written"


def _litert(folder: Path, calibration: np.ndarray, precisions: Sequence[str]) -> dict[str, str | None]:
    import litert_torch
    import torch

    network = torch.export.load(folder / "program.pt2").module()
    image = torch.from_numpy(calibration[:1])
    plain = folder / "litert" / "fp32.tflite"

    def convert() -> None:
        litert_torch.convert(litert_torch.to_channel_last_io(network, args=[0], outputs=[0]), (image,)).export(
            str(plain)
        )

    answer = {"fp32": _attempt(plain, convert)}
    for precision in [each for each in precisions if each != "fp32"]:
        path = plain.with_stem(precision)
        answer[precision] = answer["fp32"] or _attempt(path, partial(_quantize, plain, path, calibration))
    return answer


def _quantize(plain: Path, path: Path, calibration: np.ndarray) -> None:
    """Quantizes with one of the quantizer's own recipes; for fp16 it has no recipe, only a setting."""
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName

    tool = quantizer.Quantizer(str(plain))
    if path.stem == "fp16":
        everything = (".*", TFLOperationName.ALL_SUPPORTED)
        tool.add_weight_only_config(*everything, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    elif path.stem == "dynamic":
        tool.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    else:
        tool.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = _ranges(plain, tool, calibration, path.stem) if tool.need_calibration else None
    tool.quantize(ranges, enable_progress_report=False).export_model(str(path))


def _ranges(plain: Path, tool: Any, calibration: np.ndarray, kind: str) -> Any:
    """Ranges for int8: the quantizer's moving average, or for `int8_minmax` the smallest and the largest value."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    signature, ends = next(iter(Interpreter(str(plain)).get_signature_list().items()))
    images = [{ends["inputs"][0]: image[np.newaxis]} for image in calibration]
    if kind == "int8":
        return tool.calibrate({signature: images}, num_threads=1)
    recipes = recipe_manager.RecipeManager()
    recipes.load_quantization_recipe(tool.get_quantization_recipe())
    measuring = calibrator.Calibrator(plain.read_bytes(), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    measuring.calibrate({signature: images}, recipes)
    return measuring.get_model_qsvs()


def _onnx2tf(folder: Path, calibration: np.ndarray, precisions: Sequence[str]) -> dict[str, str | None]:
    import onnx2tf

    made = folder / "onnx2tf" / "made"
    # Images with which the tool checks layers; it downloads them unless this file exists.
    small = np.resize(calibration[:, ::2, ::2], (20, 128, 128, 3))
    np.save(folder / "calibration_image_sample_data_20x128x128x3_float32.npy", small)
    os.chdir(folder)
    # The tool normalises its images with mean and std; 0 and 1 leave these as they are.
    images = ["image", str(folder / "calibration.npy"), [[[[0.0] * 3]]], [[[[1.0] * 3]]]]

    def convert() -> None:
        onnx2tf.convert(
            input_onnx_file_path=str(folder / "network.onnx"),
            output_folder_path=str(made),
            output_dynamic_range_quantized_tflite="dynamic" in precisions,
            output_integer_quantized_tflite="int8" in precisions,
            output_signaturedefs=True,
            custom_input_op_name_np_data_path=[images],
            non_verbose=True,
        )

    endings = {"fp32": "float32", "fp16": "float16", "dynamic": "dynamic_range_quant", "int8": "full_integer_quant"}
    failure = _attempt(made, convert)
    answer: dict[str, str | None] = {}
    for precision, ending in [each for each in endings.items() if each[0] in precisions]:
        path = made / f"network_{ending}.tflite"
        answer[precision] = None if path.exists() else failure or "no file was written"
        if path.exists():
            shutil.copy(path, folder / "onnx2tf" / f"{precision}.tflite")
    return answer


if __name__ == "__main__":
    sys.exit(main())
