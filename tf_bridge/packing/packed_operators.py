"""What ONNX Runtime really executes of a file."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path


def executed_operators(path: Path) -> Counter[str]:
    """Counts the operators that are left after ONNX Runtime has optimized a file for this processor.

    Args:
        path: of an `.onnx` file.

    Returns:
        Operator name, with its domain where it is not a standard one, to how often it occurs.

    Raises:
        ValueError: if ONNX Runtime cannot load the file.
        ImportError: without ONNX Runtime.
    """
    import onnx

    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ImportError("looking into an .onnx file needs onnxruntime: install torchseg-compress") from error
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # it warns that the optimized graph fits this processor only
        options.optimized_model_filepath = str(optimized)
        try:
            onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no class in common
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"ONNX Runtime cannot load {path} ({reason}); export it again") from error
        nodes = onnx.load(optimized).graph.node
    return Counter(f"{node.domain}.{node.op_type}".lstrip(".") for node in nodes)
