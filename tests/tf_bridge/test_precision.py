import subprocess
import sys

from tf_bridge.precision import Precision


def test_precisions_are_written_as_on_the_command_line() -> None:
    assert [str(precision) for precision in Precision] == ["fp32", "fp16", "dynamic", "int8"]


def test_importing_the_bridge_imports_no_framework() -> None:
    check = (
        "import sys, tf_bridge; print([m for m in ('torch', 'tensorflow', 'onnx', 'onnxruntime') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
