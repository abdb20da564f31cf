from __future__ import annotations

import subprocess
import sys


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_torchvision_imports_after_this_package():
    assert _python("import torchseg, torchvision; print(torchvision.__name__)") == "torchvision"


def test_importing_this_package_imports_neither_torch_nor_torchvision():
    assert _python("import sys, torchseg; print({'torch', 'torchvision'} & set(sys.modules))") == "set()"


def test_other_errors_pass_through():
    code = """
import sys, types, torchseg._torchvision as t
class Native:
    def exec_module(self, module): raise RuntimeError("something else")
try:
    t._Loader(Native()).exec_module(types.ModuleType("torchvision"))
except RuntimeError as error:
    print(error)
"""
    assert _python(code) == "something else"
