from __future__ import annotations

import inspect

import pytest

from torchseg.api.training import compress
from torchseg.compress import ChannelPruneConfig, ClusterConfig, PruneConfig, ScheduleConfig
from torchseg.config import CompressConfig, CompressionFlags
from torchseg.config.compression_flags import names


@pytest.mark.parametrize(
    ("config", "flags"),
    [
        (PruneConfig, {"sparsity": "sparsity"}),
        (ScheduleConfig, {name: f"prune_{name}" for name in ("mode", "begin", "end", "frequency")}),
        (ClusterConfig, {"clusters": "clusters", "per": "cluster_per", "start": "cluster_start"}),
        (ChannelPruneConfig, {"importance": "importance"}),
    ],
)
def test_the_library_has_the_defaults_of_the_commands(config, flags):
    command = CompressConfig(checkpoint="net")
    assert {name: getattr(config(), name) for name in flags} == {
        name: getattr(command, flag) for name, flag in flags.items()
    }


def test_the_function_has_the_defaults_of_the_command():
    parameters, command = inspect.signature(compress).parameters, CompressionFlags()
    assert parameters["sparsity"].default == command.sparsity
    assert parameters["clusters"].default == command.clusters


@pytest.mark.parametrize(
    ("changes", "stages"),
    [({}, ("pruned", "clustered")), ({"sparsity": 0}, ("clustered",)), ({"clusters": None}, ("pruned",))],
)
def test_each_flag_asks_for_its_stage(changes, stages):
    assert CompressionFlags(**changes).stages == stages


def test_settings_of_single_layers_are_read_by_name():
    flags = CompressionFlags(prune_layers="head=0, stem.0=0.4", cluster_layers="head=16")
    assert flags.layer_sparsity == {"head": 0.0, "stem.0": 0.4}
    assert flags.layer_clusters == {"head": 16}
    assert names(" head, ,stem.0") == ("head", "stem.0")
