from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from torchseg.checkpoint import WEIGHTS, Card, load_checkpoint, save_checkpoint, sha256_of
from torchseg.compress import (
    ChannelPruneConfig,
    ClusterConfig,
    PruneConfig,
    Pruning,
    ScheduleConfig,
    cluster_weights,
    model_ledger,
    prune_channels,
    strip_clustering,
    total,
)
from torchseg.config import CompressConfig, CompressionFlags
from torchseg.console import console
from torchseg.models import MODELS, build_model
from torchseg.pipeline.stages import compression
from torchseg.pipeline.stages.compression import (
    CLUSTER_STEPS,
    PRUNE_STEPS,
    Compressor,
    check_compression,
    cluster_epochs,
    folded,
    prune_epochs,
    unbranched,
)
from torchseg.pipeline.stages.ledger import LedgerError
from torchseg.pipeline.stages.lengths import Lengths
from torchseg.spec import ImageSpec

pytestmark = pytest.mark.filterwarnings("ignore:.*encoders are deprecated:DeprecationWarning")
SHALLOW = {"encoder_depth": 3, "decoder_channels": [16, 16, 16]}
NETWORKS = {name: {"base_width": 16, "depth": 1} for name in sorted(MODELS)} | {
    "lite_student": {"cut": 8, "decoder_widths": [16, 16]},
    "smp:Unet:mobilenet_v2": SHALLOW,
    "smp:DeepLabV3Plus:resnet18": {"encoder_depth": 4, "decoder_channels": 32, "decoder_atrous_rates": [1, 2, 3]},
}


@pytest.fixture(params=NETWORKS)
def trained(request):
    """A network as compression starts from it, and its card; batch norm has lived."""
    spec, arguments = ImageSpec(height=16, width=16, classes=("sky", "road", "tree")), NETWORKS[request.param]
    network = build_model(request.param, arguments, spec)
    generator = torch.Generator().manual_seed(0)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return unbranched(network.eval(), Card(builder=request.param, arguments=arguments, spec=spec, stage="student"))


def _loaded(network, card, folder):
    save_checkpoint(network, card, folder)
    return load_checkpoint(folder)[0]


def test_every_network_is_compressed_the_same_way(trained, tmp_path):
    """Zeros, shared values per channel and per tensor, fewer channels."""
    network, card = trained
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    logits = network(images[:1]).detach()

    narrow = prune_channels(network, images[:1], ChannelPruneConfig()).model
    assert torch.equal(_loaded(narrow, replace(card, resized=True), tmp_path)(images), narrow(images))

    plain, plain_card = folded(network, card)
    assert not any(isinstance(module, nn.BatchNorm2d) and _runs(module, plain, images) for module in plain.modules())
    assert (plain(images[:1]) - logits).abs().max() <= 1e-5 * logits.abs().max()
    cluster_weights(plain, ClusterConfig(clusters=3, start="linear", per="tensor"))
    strip_clustering(plain)
    assert total(model_ledger(plain)).unique_values == 3
    assert torch.equal(_loaded(plain, plain_card, tmp_path)(images), plain(images))

    once = ScheduleConfig(mode="one_shot", begin="0", end="1")
    Pruning(network, PruneConfig(sparsity=0.5, schedule=once), epochs=1, steps_per_epoch=1).after_step(0, network)
    assert total(model_ledger(network)).sparsity == pytest.approx(0.5, abs=0.01)
    cluster_weights(network, ClusterConfig(clusters=3, start="linear", per="channel"))
    strip_clustering(network)
    assert total(model_ledger(network)).unique_per_channel == 3
    assert total(model_ledger(network)).sparsity >= 0.49


def _runs(module, network, images):
    """Whether the network uses this part of it."""
    calls = []
    hook = module.register_forward_hook(lambda *call: calls.append(call))
    network(images[:1])
    hook.remove()
    return bool(calls)


ARGUMENTS = {"base_width": 4, "depth": 1}
QUICK = CompressionFlags(sparsity=0.5, clusters=3, prune_epochs=1, cluster_epochs=1, prune_mode="one_shot")


@pytest.fixture
def student(trainer):
    """The checkpoint that a compression of `trainer` starts from."""
    spec = trainer.pictures.spec
    card = Card(builder="small_unet", arguments=ARGUMENTS, spec=spec, stage="student")
    save_checkpoint(build_model("small_unet", ARGUMENTS, spec, seed=1), card, trainer.folder.path / "student")
    return trainer.folder.path / "student"


def _compressor(trainer, flags):
    return Compressor(trainer, flags, trainer.labels())


def test_a_network_is_pruned_and_then_clustered(trainer, student, capsys):
    with console():
        ran = [stage.name for stage in _compressor(trainer, QUICK).stages(student) if trainer.folder.do(stage)]
    assert ran == ["pruned", "clustered"]
    assert "  stay dense: " in capsys.readouterr().out
    for name, parent in (("pruned", "student"), ("clustered", "pruned")):
        folder = trainer.folder.path / name
        network, card = load_checkpoint(folder)
        assert (card.stage, card.parents) == (name, {parent: sha256_of(trainer.folder.path / parent / WEIGHTS)})
        counted = total(model_ledger(network))
        assert counted.sparsity == pytest.approx(0.5, abs=0.01)
        assert (counted.unique_per_channel <= 3) == (name == "clustered")


@pytest.mark.parametrize(
    ("changes", "stage"), [({"clusters": None}, "pruned"), ({"sparsity": 0.0}, "clustered")], ids=["prune", "cluster"]
)
def test_a_stage_that_the_flags_leave_out_is_skipped(trainer, student, changes, stage):
    stages = _compressor(trainer, replace(QUICK, **changes)).stages(student)
    assert [each.name for each in stages] == [stage]


def test_pruning_can_start_from_the_weights_before_the_training(trainer, student, monkeypatch):
    begun = []

    class Begun(compression.Pruning):
        def __init__(self, network, *arguments, **options):
            begun.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
            super().__init__(network, *arguments, **options)

    monkeypatch.setattr(compression, "Pruning", Begun)
    flags = replace(QUICK, clusters=None)
    spec = trainer.pictures.spec
    initial = build_model("small_unet", ARGUMENTS, spec, seed=7)
    early = replace(_compressor(trainer, flags), untrained=lambda: build_model("small_unet", ARGUMENTS, spec, seed=7))
    stage = early.pruned(student)
    assert stage.inputs != _compressor(trainer, flags).pruned(student).inputs
    trainer.folder.do(stage)
    assert all(torch.equal(begun[0][name], tensor) for name, tensor in initial.state_dict().items())
    network, card = load_checkpoint(trainer.folder.path / "pruned")
    assert card.parents == {}
    assert total(model_ledger(network)).sparsity == pytest.approx(0.5, abs=0.01)


def test_the_smallest_layers_stay_dense_and_the_others_take_over_their_zeros(trainer, student):
    settings = _compressor(trainer, replace(QUICK, prune_smallest=0.2)).pruned(student).inputs["settings"]
    assert "head" in settings["exclude"]
    assert settings["sparsity"] > 0.5
    alike = _compressor(trainer, replace(QUICK, prune_smallest=0.0)).pruned(student).inputs["settings"]
    assert (alike["exclude"], alike["sparsity"]) == ((), 0.5)


def test_a_network_that_lost_its_zeros_is_refused(trainer, student, monkeypatch):
    def fill(network):
        network.head.weight.data.fill_(1)

    monkeypatch.setattr(compression, "flush_subnormals", fill)
    stage = _compressor(trainer, replace(QUICK, prune_smallest=0.0)).pruned(student)
    message = r"stage pruned did not keep its promise: head\.weight has 0\.00% zeros, planned were 50\.00%"
    with pytest.raises(LedgerError, match=message):
        trainer.folder.do(stage)


def test_epochs_that_nobody_gave_make_the_usual_steps(trainer):
    for epochs, steps in ((prune_epochs, PRUNE_STEPS), (cluster_epochs, CLUSTER_STEPS)):
        assert epochs(trainer, CompressionFlags()) == steps.scenes / trainer.steps_per_epoch
        assert epochs(trainer, QUICK) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prune_layers": "haed=0.5"}, "did you mean 'head'"),
        ({"prune_exclude": "stem,down,up,decode,head"}, "nothing to prune"),
        ({"cluster_exclude": "stem,down,up,decode,head"}, "nothing to cluster"),
        ({"prune_mode": "gradual", "prune_end": "9 epochs"}, "would end below its target"),
        ({"prune_mode": "gradual", "prune_end": "2 steps"}, "a gradual one needs 10"),
    ],
)
def test_a_compression_that_cannot_work_is_refused_before_any_training(trainer, student, changes, message):
    network, card = load_checkpoint(student)
    config = CompressConfig(checkpoint=student, prune_epochs=8, prune_mode="one_shot")
    lengths = Lengths(config, trainer.pictures)
    check_compression(network, card, config, lengths)
    with pytest.raises(ValueError, match=message):
        check_compression(network, card, replace(config, **changes), lengths)


def test_a_network_with_its_batch_norm_folded_says_how_to_build_it(student):
    network, card = load_checkpoint(student)
    plain, changed = folded(network, card)
    assert changed.arguments == {**card.arguments, "batch_norm": False}
    assert plain is not network
    assert folded(plain, changed)[1] == changed  # nothing is left to fold


def test_parallel_branches_are_merged_and_the_card_says_so(trainer):
    spec = trainer.pictures.spec
    network = build_model("multiscale_unet", {"base_width": 16, "depth": 1}, spec).eval()
    card = Card(builder="multiscale_unet", arguments={"base_width": 16, "depth": 1}, spec=spec, stage="student")
    merged, changed = unbranched(network, card)
    assert changed.arguments["layers"] == "plain"
    assert unbranched(merged, changed) == (merged, changed)
