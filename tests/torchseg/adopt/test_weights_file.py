"""Files of strangers run nothing, and end with one message."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from torchseg.adopt import read_weights

MARK = "it_ran"


class _Attack:
    """Unpickling it runs a command of the shell."""

    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


def _pickled():
    Path("net.pth").write_bytes(pickle.dumps({"state_dict": _Attack()}))
    return "net.pth"


def _in_a_torch_file():
    torch.save({"state_dict": {"weight": torch.zeros(2)}, "extra": _Attack()}, "net.pt")
    return "net.pt"


def _in_a_folder():
    Path("hub").mkdir()
    torch.save(_Attack(), "hub/pytorch_model.bin")
    return "hub"


def _in_an_exported_program():
    """Replaces the example inputs, which older releases unpickled, and adds a pickled constant, which all do."""
    program = torch.export.export(nn.Conv2d(3, 2, 1), (torch.zeros(1, 3, 8, 8),))
    torch.export.save(program, "good.pt2")
    with zipfile.ZipFile("good.pt2") as good, zipfile.ZipFile("net.pt2", "w") as bad:
        for entry in good.infolist():
            held = good.read(entry)
            bad.writestr(entry.filename, pickle.dumps(_Attack()) if "sample_inputs" in entry.filename else held)
    return "net.pt2"


@pytest.mark.parametrize("build", [_pickled, _in_a_torch_file, _in_a_folder, _in_an_exported_program])
def test_a_file_that_would_run_a_command_runs_nothing(build):
    path = Path(build())
    with pytest.raises(ValueError, match=r"nothing of it has run. If you trust its origin, ") as refused:
        read_weights(path)
    assert not Path(MARK).exists()
    assert "torch.save(" in str(refused.value)


def test_the_attack_of_these_tests_is_real():
    with pytest.raises(Exception, match=r"."):  # what comes out is no state dict, but the command has run
        torch.load(_in_a_torch_file(), weights_only=False)["extra"].items()
    assert Path(MARK).exists()


def test_a_whole_pickled_network_is_refused_with_what_turns_it_into_weights():
    torch.save(nn.Conv2d(3, 2, 1), "net.pth")
    with pytest.raises(ValueError, match=r"holds the object torch.nn.modules.conv.Conv2d .*m.state_dict\(\)"):
        read_weights(Path("net.pth"))


def test_torchscript_is_refused_until_its_hash_is_confirmed(monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was loaded"))
    with zipfile.ZipFile("net.pt", "w") as archive:
        archive.writestr("net/constants.pkl", b"")
        archive.writestr("net/code/__torch__/net.py", "def forward(self): pass")
    with pytest.raises(
        ValueError, match=r"is TorchScript, and loading it can run any code; .* add --trust_code \w{64}"
    ):
        read_weights(Path("net.pt"))


def test_an_archive_that_unpacks_to_much_more_than_its_size_is_not_opened():
    with zipfile.ZipFile("net.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"")
        for part in range(5):
            archive.writestr(f"net/data/{part}", bytes(2**24))
    assert Path("net.pth").stat().st_size < 2**20
    with pytest.raises(ValueError, match="would unpack to 83,886,080; PyTorch writes no such files"):
        read_weights(Path("net.pth"))


@pytest.mark.parametrize("size", [100 * 2**30, 2**63, 100])
def test_a_safetensors_header_that_cannot_be_is_refused(size):
    Path("net.safetensors").write_bytes(struct.pack("<Q", size) + b'{"weight":')
    with pytest.raises(ValueError, match="is no readable safetensors file"):
        read_weights(Path("net.safetensors"))


def test_a_safetensors_entry_that_claims_more_than_the_file_holds_is_refused():
    entry = {"weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    header = json.dumps(entry).encode()
    Path("net.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ValueError, match="is no readable safetensors file"):
        read_weights(Path("net.safetensors"))


@pytest.mark.parametrize("content", [b"PK\x03\x04 and no more", b"\x80\x02", b"hello"])
def test_a_damaged_file_is_refused(content):
    Path("net.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"net.pth is (a damaged archive|no readable PyTorch file)"):
        read_weights(Path("net.pth"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.pth", b"", "net.pth is empty; copy it again"),
        ("net.onnx", b"x", "net.onnx is no file of PyTorch weights; score and predict take ONNX files"),
        ("net.keras", b"x", "net.keras is no file of PyTorch weights; import_tf converts Keras files"),
    ],
)
def test_a_file_without_weights_says_what_to_do(name, content, message):
    Path(name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_weights(Path(name))


def test_a_text_is_called_a_text():
    Path("README.md").write_text("# Weights\n\nThey are elsewhere: größer.\n" * 9, encoding="utf-8")
    with pytest.raises(ValueError, match=r"README.md is a text, not weights; give a file such as .pth"):
        read_weights(Path("README.md"))
    Path("old.pth").write_bytes(pickle.dumps(argparse.ArgumentParser, protocol=0))  # letters alone
    with pytest.raises(ValueError, match=r"holds .* besides tensors"):
        read_weights(Path("old.pth"))


def test_a_missing_file_and_an_empty_folder_are_named():
    with pytest.raises(ValueError, match=r"there is no file gone.pth"):
        read_weights(Path("gone.pth"))
    Path("hub").mkdir()
    with pytest.raises(ValueError, match=r"hub has no weights; a folder needs model.safetensors or pytorch_model.bin"):
        read_weights(Path("hub"))


def _weights(value):
    return {"a": torch.full((2,), value), "b": torch.zeros(2)}


def test_plain_weights_win_over_averaged_ones_unless_the_key_says_otherwise():
    torch.save({"ema": {"module": _weights(2.0)}, "model": _weights(1.0), "epoch": 3}, "net.pth")
    found = read_weights(Path("net.pth"))
    assert (found.key, found.other_keys, float(found.tensors["a"][0])) == ("model", ("ema.module",), 1.0)
    assert float(read_weights(Path("net.pth"), key="ema.module").tensors["a"][0]) == 2.0
    with pytest.raises(
        ValueError,
        match=r"--key is 'ema.modul' \(did you mean 'ema.module' or 'model'\?\); net.pth has ema.module, model",
    ):
        read_weights(Path("net.pth"), key="ema.modul")


BESIDE = {
    "flags": argparse.Namespace(root=Path("data"), lr=0.1),
    "a date": datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC),
    "arrays": {"iou": np.arange(3.0), "confusion": np.eye(3, dtype=np.int64)},
    "numbers": [np.float32(0.5), np.int64(3)],
}


@pytest.mark.parametrize("name", BESIDE)
def test_plain_values_beside_the_weights_do_no_harm(name):
    torch.save({"state_dict": _weights(1.0), "beside": BESIDE[name], "iou": np.ones(3), "best": np.ones(2)}, "net.pth")
    found = read_weights(Path("net.pth"))
    assert (found.key, found.other_keys, set(found.tensors)) == ("state_dict", (), {"a", "b"})


@pytest.mark.parametrize("wrap", [lambda state: (7, state), lambda state: [state]])
def test_a_state_dict_in_a_tuple_or_list_is_found(wrap):
    torch.save(wrap(_weights(2.0)), "net.pth")
    assert float(read_weights(Path("net.pth")).tensors["a"][0]) == 2.0


def test_weights_as_arrays_become_tensors():
    torch.save({"model": {name: tensor.numpy() for name, tensor in _weights(2.0).items()}}, "net.pth")
    found = read_weights(Path("net.pth"))
    assert torch.equal(found.tensors["a"], torch.full((2,), 2.0))


def test_an_array_of_objects_runs_nothing():
    torch.save({"a": torch.zeros(2), "b": np.array([_Attack()], dtype=object)}, "net.pth")
    with pytest.raises(ValueError, match=r"nothing of it has run"):
        read_weights(Path("net.pth"))
    assert not Path(MARK).exists()


def test_the_state_of_an_optimizer_is_no_network():
    torch.save({"optimizer_state": _weights(1.0), "epoch": 3}, "net.pth")
    with pytest.raises(ValueError, match="holds a dict without tensors by name"):
        read_weights(Path("net.pth"))
