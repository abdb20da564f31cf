"""Which calls of the code may run code, open a connection or start a shell: those listed here, each with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path for part in ("torchseg", "tf_bridge", "scripts", "benchmarks", ".ci") for path in (ROOT / part).rglob("*.py")
]
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
NETWORK = {
    "socket", "ssl", "urllib", "http", "ftplib", "smtplib", "telnetlib", "xmlrpc", "socketserver",
    "requests", "urllib3", "httpx", "aiohttp", "huggingface_hub", "fsspec", "websockets",
}  # fmt: skip
CALLS = {
    "eval", "exec", "__import__", "os.system", "os.popen", "os.execv", "os.execvp", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "torch.export.load", "torch.jit.load", "torch.package.PackageImporter",
    "torch.hub.load", "torch.hub.load_state_dict_from_url", "load_state_dict_from_url", "runpy.run_path",
}  # fmt: skip
FLAGS = {"allow_pickle", "shell", "trust_remote_code"}
ALLOWED = {
    # Code and programs that the user named by file or by hash: torchseg/trusted_code.py.
    ("torchseg/models/external/code_file.py", "exec"),
    ("torchseg/models/external/program.py", "torch.export.load"),
    ("torchseg/adopt/weights_file.py", "torch.export.load"),
    ("torchseg/adopt/program.py", "torch.jit.load"),
    # A program that the benchmark wrote itself, for another converter.
    ("benchmarks/bridge_peer_worker.py", "torch.export.load"),
    # A reader of pickles that can name arrays and counts alone, between two processes of one command.
    ("torchseg/harness/runtimes/messages.py", "import pickle"),
    ("torchseg/harness/runtimes/process.py", "import pickle"),  # the error of that reader
    ("torchseg/pipeline/stages/export.py", "import pickle"),  # the error of multiprocessing
    # Starts Python again, with less rights.
    ("torchseg/processes/confined.py", "os.execv"),
    # Its loader has neither aliases nor tags.
    ("torchseg/record/yaml_text.py", "yaml.load"),
    # Asks whether a port of this machine is free; NNI's manager listens on it.
    ("torchseg/pipeline/search/nni/engine.py", "import socket"),
    # --download
    ("torchseg/data/datasets/oxford_pet.py", "download=True"),
}


def suspicious(source):
    """Imports and calls of the kinds above, as `(line, text)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        for name in {name.partition(".")[0] for name in names} & (PICKLES | NETWORK):
            yield node.lineno, f"import {name}"
        if isinstance(node, ast.Call):
            yield from ((node.lineno, text) for text in _call(node))


def _call(call):
    name = ast.unparse(call.func)
    given = {each.arg: ast.unparse(each.value) for each in call.keywords if each.arg}
    if name in CALLS:
        yield name
    if name == "torch.load" and given.get("weights_only") != "True":
        yield "torch.load without weights_only"
    if given.get("download") == "True":
        yield "download=True"
    if name.endswith("load_model") and given.get("safe_mode", "True") != "True":
        yield "load_model without safe_mode"
    yield from (f"{flag}={value}" for flag, value in given.items() if flag in FLAGS and value not in ("False", "None"))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import pickle", ["import pickle"]),
        ("from urllib.request import urlopen", ["import urllib"]),
        ("def f():\n    import requests as r", ["import requests"]),
        ("eval('1')", ["eval"]),
        ("network.eval()", []),
        ("exec(compile(text, name, 'exec'))", ["exec"]),
        ("torch.load(path)", ["torch.load without weights_only"]),
        ("torch.load(path, weights_only=False)", ["torch.load without weights_only"]),
        ("torch.load(path, weights_only=True)", []),
        ("yaml.load(text, Loader=yaml.Loader)", ["yaml.load"]),
        ("np.load(path, allow_pickle=True)", ["allow_pickle=True"]),
        ("np.load(path, allow_pickle=False)", []),
        ("subprocess.run(text, shell=True)", ["shell=True"]),
        ("keras.models.load_model(path, safe_mode=False)", ["load_model without safe_mode"]),
        ("OxfordIIITPet(root, download=True)", ["download=True"]),
        ("torch.hub.load('owner/name', 'net')", ["torch.hub.load"]),
    ],
)
def test_the_search_sees(code, found):
    assert [text for _, text in suspicious(code)] == found


def test_nothing_but_what_is_listed_runs_code_or_opens_a_connection():
    found = {
        (path.relative_to(ROOT).as_posix(), text)
        for path in FILES
        for _, text in suspicious(path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED
