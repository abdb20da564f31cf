"""Every kind of checkpoint, with a network of segmentation_models_pytorch, of torchvision and of the user's own."""

from __future__ import annotations

import warnings
from argparse import Namespace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import segmentation

from torchseg.adopt import Source, adopt_network, read_weights
from torchseg.checkpoint import load_checkpoint, save_checkpoint
from torchseg.models.external.code_file import load_code, read_code
from torchseg.spec import ImageSpec
from torchseg.trusted_code import trust

SPEC = ImageSpec(height=64, width=64, classes=("sky", "tree", "road"))
UNET = """
import torch
from torch import nn


def block(n_in, n_out):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes, width=4):
        super().__init__()
        self.enter, self.down = block(n_channels, width), block(width, 2 * width)
        self.up, self.join = nn.ConvTranspose2d(2 * width, width, 2, stride=2), block(2 * width, width)
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(self, x):
        skip = self.enter(x)
        deep = self.up(self.down(nn.functional.max_pool2d(skip, 2)))
        return self.head(self.join(torch.cat([skip, deep], 1)))
"""


class Case(NamedTuple):
    module: nn.Module
    model: str
    arguments: dict
    code: dict | None


def _random_norms(module):
    """As after training: fresh norms would hide a missing statistic."""
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.normal_(each.running_mean, std=0.1)
            nn.init.uniform_(each.running_var, 0.5, 1.5)
    return module.eval()


@cache
def _smp():
    arguments = {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}
    module = smp.Unet("resnet18", encoder_weights=None, classes=3, **arguments)
    return Case(_random_norms(module), "smp:Unet:resnet18", arguments, None)


@cache
def _torchvision():
    module = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    return Case(_random_norms(module), "torchvision:lraspp_mobilenet_v3_large", {}, None)


def _own_file():
    Path("my_net.py").write_text(UNET)
    trust(Path("my_net.py"))
    code = read_code(Path("my_net.py"))
    torch.manual_seed(1)
    return Case(_random_norms(load_code(code).UNet(3, 3)), "UNet", {}, code)


def _prefixed(module, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}


def _saved(content, name="net.pth"):
    torch.save(content, name)
    return Path(name)


def _ema(module):
    """Averaged weights two levels down, as PyTorch's AveragedModel in a dictionary, beside an optimizer."""
    averaged = torch.optim.swa_utils.AveragedModel(module)
    return _saved({"ema": {"module": averaged.state_dict()}, "optimizer": {"state": {0: {"step": torch.ones(1)}}}})


def _lightning(module):
    entries = {"epoch": 3, "state_dict": {**_prefixed(module, "net."), "criterion.weight": torch.ones(3)}}
    return _saved(entries | {"callbacks": {"best": {"best_model_score": torch.tensor(0.5)}}}, "last.ckpt")


def _safetensors(module):
    save_file(module.state_dict(), "net.safetensors")
    return Path("net.safetensors")


def _hugging_face(module):
    Path("hub").mkdir()
    Path("hub/config.json").write_text('{"architectures": ["Net"]}')
    return _saved(module.state_dict(), "hub/pytorch_model.bin").parent


def _script(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(module, torch.zeros(1, 3, 64, 64), strict=False), "net.pt")
    trust(Path("net.pt"))
    return Path("net.pt")


def _exported(module):
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 64, 64),)), "net.pt2")
    trust(Path("net.pt2"))
    return Path("net.pt2")


KINDS = {
    "a plain state dict": lambda module: _saved(module.state_dict()),
    "a state dict among flags": lambda module: _saved(
        {"model_state_dict": module.state_dict(), "args": Namespace(lr=0.1), "best": np.float64(0.7)}
    ),
    "averaged weights": _ema,
    "Lightning's checkpoint": _lightning,
    "data-parallel training": lambda module: _saved({"model": _prefixed(module, "module.")}),
    "torch.compile": lambda module: _saved(_prefixed(module, "_orig_mod.")),
    "a compiled network in a wrapper": lambda module: _saved(_prefixed(module, "network.model._orig_mod.")),
    "safetensors": _safetensors,
    "a folder of Hugging Face": _hugging_face,
    "TorchScript": _script,
    "torch.export": _exported,
}
CASES = [
    pytest.param(make, write, id=f"{kind} of {name}")
    for name, make in {"smp": _smp, "torchvision": _torchvision, "an own file": _own_file}.items()
    for kind, write in KINDS.items()
]


def _adopted(path, case, spec=SPEC, **options):
    source = Source(weights=read_weights(path), model=case.model, arguments=case.arguments, code=case.code, **options)
    return adopt_network(source, spec)


def _reloaded(adopted):
    save_checkpoint(adopted.network, adopted.card, Path("adopted"))
    return load_checkpoint(Path("adopted"))


def _logits(module, images):
    with torch.no_grad():
        returned = module(images)
    return returned["out"] if isinstance(returned, dict) else returned


@pytest.mark.slow
@pytest.mark.parametrize(("make", "write"), CASES)
def test_logits_of_the_checkpoint_are_those_of_the_original_to_the_bit(make, write):
    case = make()
    network, card = _reloaded(_adopted(write(case.module), case))
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(network(images), _logits(case.module, images))
    assert card.stage == "adopted"


def test_a_folder_of_smp_needs_no_name():
    case = _smp()
    case.module.save_pretrained("saved")
    network, card = _reloaded(adopt_network(Source(weights=read_weights(Path("saved"))), SPEC))
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(network(images), case.module(images))
    assert card.builder == "smp:Unet:resnet18"
    assert card.arguments["decoder_channels"] == [16, 8, 8]


@pytest.mark.slow
@pytest.mark.parametrize("write", [_script, _exported])
def test_a_program_without_a_name_is_kept_as_it_is(write):
    case = _own_file()
    path = write(case.module)
    network, card = _reloaded(adopt_network(Source(weights=read_weights(path)), SPEC))
    images = torch.randn(3, 3, 64, 64)
    expected = torch.cat([case.module(image) for image in images.split(1)])
    assert torch.equal(network(images), expected)  # exported for one image: it sees them one by one
    assert card.builder == "program"
    assert list(network.state_dict()) == ["network.program"]


def test_a_program_for_another_size_is_refused():
    path = _exported(_own_file().module)
    with pytest.raises(ValueError, match=r"exported for images of 3 channels and 64x64.* give --image_size 64,64"):
        adopt_network(Source(weights=read_weights(path)), ImageSpec(height=32, width=32, classes=SPEC.classes))


@pytest.mark.slow
def test_another_encoder_is_named():
    path = _saved(smp.Unet("resnet34", encoder_weights=None, classes=3).state_dict())
    case = Case(nn.Identity(), "smp:Unet:resnet18", {}, None)
    with pytest.raises(ValueError, match="they fit --model smp:Unet:resnet34") as refused:
        _adopted(path, case)
    assert "are unexpected (the first 10): encoder.layer1.2.conv1.weight, " in str(refused.value)


def test_another_number_of_classes_is_named_with_both_numbers():
    case = _own_file()
    path = _saved(load_code(case.code).UNet(3, 21).state_dict())
    with pytest.raises(ValueError, match=r"has 21 classes and the data has 3 \(sky, tree, road\)"):
        _adopted(path, case)


def test_another_number_of_channels_is_named_with_both_numbers():
    case = _own_file()
    path = _saved(load_code(case.code).UNet(4, 3).state_dict())
    with pytest.raises(ValueError, match=r"are for images of 4 channels and the data has 3: give images of 4"):
        _adopted(path, case)


def _spec_of(channels):
    grey = (0.5,) * channels
    return ImageSpec(height=64, width=64, classes=SPEC.classes, channels=channels, mean=grey, std=grey)


def test_weights_for_colour_images_are_summed_for_grey_ones():
    case = _own_file()
    adopted = _adopted(_saved(case.module.state_dict()), case, _spec_of(1))
    image = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = _logits(case.module, image.expand(-1, 3, -1, -1))
    assert torch.allclose(_logits(adopted.network, image), expected, atol=1e-4)
    assert torch.equal(_logits(_reloaded(adopted)[0], image), _logits(adopted.network, image))


@pytest.mark.parametrize("channels", [2, 4, 6, 13])
def test_weights_for_colour_images_are_repeated_for_more_channels(channels):
    case = _own_file()
    adopted = _adopted(_saved(case.module.state_dict()), case, _spec_of(channels))
    own, weights = case.module.state_dict(), adopted.network.state_dict()
    first = weights.pop("network.enter.0.weight")
    assert torch.equal(first[:, channels - 1], own.pop("enter.0.weight")[:, (channels - 1) % 3] * (3 / channels))
    assert all(torch.equal(tensor, weights[f"network.{name}"]) for name, tensor in own.items())
    images = torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(_logits(_reloaded(adopted)[0], images), _logits(adopted.network, images))


def test_the_adapted_convolution_is_named():
    case = _own_file()
    notes = _adopted(_saved(case.module.state_dict()), case, _spec_of(4)).notes
    said = next(note for note in notes if "adapted" in note)
    assert said.startswith("the first convolution (enter.0.weight) is adapted from 3 to 4 channels: ")


@pytest.mark.slow
@pytest.mark.parametrize("make", [_smp, _torchvision])
def test_weights_of_libraries_are_adapted_to_other_channels(make):
    case = make()
    adopted = _adopted(_saved(case.module.state_dict()), case, _spec_of(6))
    colours = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = _logits(case.module, colours)
    assert torch.allclose(_logits(adopted.network, colours.repeat(1, 2, 1, 1)), expected, atol=1e-3)


def test_every_convolution_that_reads_the_image_is_adapted():
    two_paths = """
from torch import nn


class Net(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.fine = nn.Conv2d(in_channels, num_classes, 1)
        self.coarse = nn.Conv2d(in_channels, num_classes, 3, padding=1)

    def forward(self, x):
        return self.fine(x) + self.coarse(x)
"""
    Path("two.py").write_text(two_paths)
    trust(Path("two.py"))
    code = read_code(Path("two.py"))
    weights = load_code(code).Net(3, 3).state_dict()
    adopted = _adopted(_saved(weights), Case(nn.Identity(), "Net", {}, code), _spec_of(1))
    assert any("first convolution (fine.weight, coarse.weight) is adapted" in note for note in adopted.notes)


def test_arguments_of_the_own_network_are_named_when_shapes_differ():
    case = _own_file()
    path = _saved(load_code(case.code).UNet(3, 3, width=8).state_dict())
    with pytest.raises(
        ValueError, match="check --model and --model_arguments: UNet takes n_channels, n_classes, width"
    ):
        _adopted(path, case)


def test_weights_of_another_network_are_refused_with_their_names():
    case = _own_file()
    weights = case.module.state_dict()
    weights["heed.weight"] = weights.pop("head.weight")
    with pytest.raises(ValueError, match=r"1 tensor is missing: head.weight \(did you mean 'heed.weight'\?\)"):
        _adopted(_saved(weights), case)


def test_weights_without_a_network_ask_for_one():
    with pytest.raises(ValueError, match=r"holds weights and not the network; give --model, e.g. smp:Unet:resnet18"):
        adopt_network(Source(weights=read_weights(_saved(_own_file().module.state_dict()))), SPEC)


def test_an_unknown_argument_of_the_own_network_is_named():
    case = _own_file()
    path = _saved(case.module.state_dict())
    with pytest.raises(ValueError, match="UNet takes no depth; it takes n_channels, n_classes, width"):
        _adopted(path, case._replace(arguments={"depth": 2}))


@pytest.mark.slow
def test_the_auxiliary_head_of_torchvision_is_dropped():
    original = segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=3, aux_loss=True)
    case = Case(_random_norms(original), "torchvision:fcn_resnet50", {}, None)
    adopted = _adopted(_saved(original.state_dict()), case)
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(adopted.network(images), _logits(original, images))
    assert any("auxiliary head aux_classifier are dropped" in note for note in adopted.notes)
