from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from torchseg.checkpoint import Card, load_checkpoint, save_checkpoint
from torchseg.models import build_model, recorded
from torchseg.models.external.code_file import code_builder, load_code, read_code
from torchseg.spec import ImageSpec
from torchseg.trusted_code import VARIABLE, trust

SPEC = ImageSpec(height=32, width=32, classes=("a", "b", "c"))
SOURCE = """
from pathlib import Path
from torch import nn

Path("it_ran").touch()


def build(in_channels, num_classes, *, width=4, **options):
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, num_classes, 1))


class Net(nn.Conv2d):
    def __init__(self, in_ch, out_ch):
        super().__init__(in_ch, out_ch, 1)


def fixed():
    return nn.Conv2d(3, 3, 1)


def broken(in_channels, num_classes):
    raise KeyError("no such layer")


def nothing(in_channels, num_classes):
    return None
"""


def _rewrite(path, values):
    """Writes a card as a stranger would, without the checksum that shows damage."""
    path.write_text(json.dumps({name: each for name, each in values.items() if name != "checksum"}))


@pytest.fixture(autouse=True)
def file():
    path = Path("net.py")
    path.write_text(SOURCE)
    return path


def test_code_that_is_not_trusted_does_not_run(file):
    with pytest.raises(ValueError, match=r"net.py, which builds this network .*nothing of it has run"):
        build_model("code:net.py:build", {}, SPEC)
    assert not Path("it_ran").exists()


@pytest.mark.parametrize(
    ("function", "arguments", "width"), [("build", {}, 4), ("build", {"width": 8}, 8), ("Net", {}, 3), ("fixed", {}, 3)]
)
def test_functions_and_classes_get_channels_and_classes_by_their_own_names(file, function, arguments, width):
    trust(file)
    network = build_model(f"code:net.py:{function}", arguments, SPEC)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    assert next(network.parameters()).shape[0] == width


@pytest.mark.parametrize("names", [("in_chns", "class_num"), ("input_nc", "output_nc"), ("bands", "n_labels")])
def test_the_two_numbers_have_many_names(names):
    source = (
        f"from torch import nn\ndef build({names[0]}=7, {names[1]}=9): return nn.Conv2d({names[0]}, {names[1]}, 1)\n"
    )
    Path("other.py").write_text(source)
    trust(read_code(Path("other.py"))["sha256"])
    assert build_model("code:other.py:build", {}, SPEC)(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("code:net.py:biuld", r"no function or class 'biuld' \(did you mean 'build'\?\); it has build, Net, fixed"),
        ("code:net.py:broken", "code:net.py:broken cannot be built with .*: 'no such layer'"),
        ("code:net.py:nothing", "returns NoneType; it must return a torch.nn.Module"),
        ("code:net.py", "write code:FILE:FUNCTION, e.g. code:my_net.py:build"),
        ("code:gone.py:build", r"there is no file gone.py"),
    ],
)
def test_what_cannot_be_built_says_why(file, name, message):
    trust(file)
    with pytest.raises(ValueError, match=message):
        build_model(name, {}, SPEC)


@pytest.mark.parametrize(
    ("text", "message"), [("1 +", "SyntaxError"), ("import own_module", "No module named 'own_module'")]
)
def test_a_file_that_cannot_run_alone_is_refused(file, text, message):
    file.write_text(text)
    trust(file)
    with pytest.raises(ValueError, match=rf"net.py cannot run .*{message}.*imports only installed packages"):
        build_model("code:net.py:build", {}, SPEC)


def test_a_binary_file_is_refused(file):
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"net.py is not a Python file in UTF-8"):
        read_code(file)


def test_the_same_source_runs_once(file):
    trust(file)
    assert load_code(read_code(file)) is load_code(read_code(file))


@pytest.fixture
def checkpoint(file):
    trust(file)
    network = build_model("code:net.py:build", {"width": 8}, SPEC)
    save_checkpoint(
        network, Card(**recorded("code:net.py:build"), arguments={"width": 8}, spec=SPEC, stage="x"), Path("x")
    )
    Path("it_ran").unlink(missing_ok=True)
    return network


def test_a_checkpoint_needs_the_file_no_more_but_the_trust(checkpoint, file, monkeypatch):
    file.unlink()
    images = torch.randn(1, 3, 32, 32)
    network, card = load_checkpoint(Path("x"))
    assert torch.equal(network(images), checkpoint(images))
    assert (card.builder, card.code["file"]) == ("code:net.py:build", "net.py")
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(ValueError, match=f"--trust_code {card.code['sha256']}"):
        load_checkpoint(Path("x"))


def test_source_that_was_changed_in_the_card_does_not_run(checkpoint):
    path = Path("x/card.json")
    values = json.loads(path.read_text())
    values["code"]["source"] = "from pathlib import Path\nPath('it_ran').touch()\n" + values["code"]["source"]
    _rewrite(path, values)
    with pytest.raises(ValueError, match=r"it has changed since the network was adopted; nothing of it has run"):
        load_checkpoint(Path("x"))
    values["code"]["sha256"] = "0" * 64
    _rewrite(path, values)
    with pytest.raises(ValueError, match=r"has the SHA-256 \w{64}, recorded is 0{64}"):
        load_checkpoint(Path("x"))
    assert not Path("it_ran").exists()


def test_a_card_whose_hash_was_changed_along_with_the_source_is_not_trusted(checkpoint, file):
    path = Path("x/card.json")
    values = json.loads(path.read_text())
    file.write_text("from pathlib import Path\nPath('it_ran').touch()\n" + SOURCE)
    _rewrite(path, values | {"code": read_code(file)})
    with pytest.raises(ValueError, match="--trust_code"):
        load_checkpoint(Path("x"))
    assert not Path("it_ran").exists()


def test_a_copy_beside_the_card_that_says_something_else_is_refused(checkpoint):
    Path("x/net.py").write_text(SOURCE + "# changed\n")
    with pytest.raises(ValueError, match=r"is not the code that the network was adopted with"):
        load_checkpoint(Path("x"))


@pytest.mark.parametrize("code", [{"file": "net.py"}, {"source": "1"}, "text", {"file": 1, "sha256": 2}])
def test_a_card_with_half_a_record_of_code_is_damaged(checkpoint, code):
    path = Path("x/card.json")
    _rewrite(path, json.loads(path.read_text()) | {"code": code})
    with pytest.raises(ValueError, match=r"card.json is damaged"):
        load_checkpoint(Path("x"))


def test_a_card_without_its_code_never_reads_a_file_of_that_name(checkpoint):
    path = Path("x/card.json")
    _rewrite(path, json.loads(path.read_text()) | {"code": {}})
    with pytest.raises(ValueError, match=r"card.json is damaged|adopt the network again"):
        load_checkpoint(Path("x"))
    assert not Path("it_ran").exists()


def test_a_builder_with_further_options_takes_any_argument(file):
    trust(file)
    assert "anything" in code_builder("code:net.py:build")[1]
    assert "anything" not in code_builder("code:net.py:fixed")[1]


def test_layers_that_share_one_tensor_are_saved_and_loaded(file):
    file.write_text(
        "from torch import nn\n\n\ndef tied(in_channels, num_classes):\n"
        "    first, second, last = (nn.Conv2d(3, 3, 1) for _ in range(3))\n"
        "    second.weight = first.weight\n    return nn.Sequential(first, second, last)\n"
    )
    trust(file)
    network = build_model("code:net.py:tied", {}, SPEC)
    save_checkpoint(network, Card(**recorded("code:net.py:tied"), spec=SPEC, stage="x"), Path("x"))
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(load_checkpoint(Path("x"))[0](images), network(images))
