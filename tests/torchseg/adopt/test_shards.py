from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from torchseg.adopt import read_weights


class _Attack:
    """Unpickling it runs a command of the shell."""

    def __reduce__(self):
        return os.system, ("touch it_ran",)


def _index(places, whole="model.safetensors"):
    Path("hub").mkdir(exist_ok=True)
    Path(f"hub/{whole}.index.json").write_text(json.dumps({"metadata": {"total_size": 16}, "weight_map": places}))


def _folder(kind="safetensors"):
    """A folder as Hugging Face's libraries leave it: two tensors in two files, and an index."""
    whole, stem = ("model.safetensors", "model") if kind == "safetensors" else ("pytorch_model.bin", "pytorch_model")
    names = [f"{stem}-0000{number}-of-00002{Path(whole).suffix}" for number in (1, 2)]
    _index({"a": names[0], "b": names[1]}, whole)
    for name, tensors in zip(names, ({"a": torch.ones(2)}, {"b": torch.zeros(2)}), strict=True):
        (save_file if kind == "safetensors" else torch.save)(tensors, f"hub/{name}")
    return names


@pytest.mark.parametrize("kind", ["safetensors", "pickle"])
def test_the_tensors_of_all_shards_are_read(kind):
    _folder(kind)
    Path("hub/config.json").write_text('{"encoder_name": "resnet18"}')
    found = read_weights(Path("hub"))
    assert {name: float(tensor[0]) for name, tensor in found.tensors.items()} == {"a": 1.0, "b": 0.0}
    assert (found.kind, found.config) == (kind, {"encoder_name": "resnet18"})


def test_the_index_can_be_named_itself():
    _folder()
    assert set(read_weights(Path("hub/model.safetensors.index.json")).tensors) == {"a", "b"}


def test_a_whole_file_is_preferred_to_shards():
    _folder()
    save_file({"whole": torch.ones(1), "file": torch.ones(1)}, "hub/model.safetensors")
    assert set(read_weights(Path("hub")).tensors) == {"whole", "file"}


def test_missing_shards_are_one_message():
    names = _folder()
    Path("hub", names[1]).unlink()
    with pytest.raises(ValueError, match=rf"names 2 files of weights, and 1 of them is not beside it \({names[1]}\)"):
        read_weights(Path("hub"))


def test_of_many_missing_shards_the_first_are_named():
    _index({f"tensor{number}": f"part{number}.safetensors" for number in range(9)})
    with pytest.raises(
        ValueError, match=r"9 of them .*\(part0.safetensors, part1.safetensors, part2.safetensors, \.\.\."
    ):
        read_weights(Path("hub"))


def test_a_shard_without_its_tensor_is_named():
    names = _folder()
    save_file({"other": torch.ones(2)}, f"hub/{names[1]}")
    with pytest.raises(ValueError, match=rf"{names[1]} lacks the tensor 'b' that model.safetensors.index.json names"):
        read_weights(Path("hub"))


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "/etc/passwd", "sub/part.safetensors", "..\\part.safetensors", "part.bin", "", 3]
)
def test_an_index_reaches_no_other_files(name):
    save_file({"a": torch.ones(2)}, "outside.safetensors")
    _index({"a": name})
    with pytest.raises(ValueError, match=r"names '.*'; expected a .safetensors file beside it"):
        read_weights(Path("hub"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ("[]", "has no weight_map"),
        ('{"weight_map": []}', "has no weight_map"),
        ('{"weight_map": {}}', "has no weight_map"),
        (json.dumps({"weight_map": {str(each): f"{each}.bin" for each in range(10_001)}}), "names 10,001 files"),
    ],
)
def test_a_damaged_index_is_one_message(content, message):
    Path("hub").mkdir()
    Path("hub/pytorch_model.bin.index.json").write_text(content)
    with pytest.raises(ValueError, match=rf"pytorch_model.bin.index.json {message}"):
        read_weights(Path("hub"))


def test_an_index_that_is_too_large_is_not_read():
    Path("hub").mkdir()
    with Path("hub/model.safetensors.index.json").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(ValueError, match="has 67108865 bytes; expected at most 67108864"):
        read_weights(Path("hub"))


def test_a_shard_that_would_run_a_command_runs_nothing():
    names = _folder("pickle")
    torch.save({"b": _Attack()}, f"hub/{names[1]}")
    with pytest.raises(ValueError, match=r"holds objects? .*besides tensors"):
        read_weights(Path("hub"))
    assert not Path("it_ran").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_is_no_shard():
    names = _folder("pickle")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), f"hub/{names[0]}")
    with pytest.raises(ValueError, match="is a program of PyTorch; expected a part of the weights"):
        read_weights(Path("hub"))
