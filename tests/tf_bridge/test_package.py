import subprocess
import sys


def test_importing_the_bridge_imports_no_framework() -> None:
    check = (
        "import sys, tf_bridge; print([m for m in ('torch', 'tensorflow', 'onnx', 'onnxruntime') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
