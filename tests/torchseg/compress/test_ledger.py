from __future__ import annotations

import numpy as np
import pytest
import torch

from torchseg.compress import (
    ClusterConfig,
    check_ledger,
    cluster_weights,
    flush_subnormals,
    ledger_row,
    model_ledger,
    strip_clustering,
    total,
)


def _row(rows, dtype=np.float32, name="a"):
    return ledger_row(name, np.array(rows, dtype))


def test_a_row_counts_what_is_inside():
    row = _row([[0, 1, 1, 2], [0, 0, 3, -3]])
    assert (row.parameters, row.channels, row.zeros, row.sparsity) == (8, 2, 3, 0.375)
    assert (row.unique_values, row.unique_per_channel) == (4, 2)
    assert (row.nan, row.subnormal, row.dtype) == (0, 0, "float32")


@pytest.mark.parametrize(("dtype", "tiny"), [(np.float16, 1e-7), (np.float32, 1e-40), (np.float64, 1e-310)])
def test_nan_and_subnormal_numbers_are_counted(dtype, tiny):
    row = _row([[tiny, -tiny, float("nan"), 1]], dtype)
    assert (row.nan, row.subnormal) == (1, 2)


def test_integer_codes_can_be_counted():
    row = _row([[-128, 0, 5]], np.int8)
    assert (row.unique_values, row.zeros, row.nan, row.subnormal, row.dtype) == (2, 1, 0, 0, "int8")


def test_an_empty_tensor_has_no_share():
    assert ledger_row("a", np.zeros((0, 0), np.float32)).sparsity == 0


def test_a_network_has_one_row_per_weight_and_a_total(network):
    rows = model_ledger(network)
    assert [row.tensor for row in rows][:2] == ["stem.0.weight", "stem.3.weight"]
    whole = total(rows)
    assert whole.parameters == sum(row.parameters for row in rows)
    assert whole.unique_values == max(row.unique_values for row in rows)
    assert whole.dtype == "float32"


def test_half_precision_networks_can_be_counted(network):
    assert total(model_ledger(network.bfloat16())).nan == 0


def test_a_stage_that_keeps_everything_lost_nothing(network):
    assert check_ledger(model_ledger(network), model_ledger(network)) == []


def test_lost_zeros_are_named():
    assert check_ledger([_row([[0, 0, 1, 2]])], [_row([[0, 1, 1, 2]])]) == ["a: 50.00% zeros became 25.00%"]


def test_lost_values_are_named(network):
    cluster_weights(network, ClusterConfig(clusters=4, per="tensor"))
    strip_clustering(network)
    before = model_ledger(network)
    with torch.no_grad():
        network.decode[0][0].weight[0] *= 1.5
    assert check_ledger(before, model_ledger(network)) == ["decode.0.0.weight: 4 values per tensor became 8"]
    assert check_ledger(before, model_ledger(network), per="channel") == []


def test_dense_weights_may_change_freely(network):
    before = model_ledger(network)
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter)
    assert check_ledger(before, model_ledger(network)) == []


def test_a_file_with_other_names_is_compared_as_a_whole():
    before = [_row([[0, 0, 1, 1, 1, 1]])]
    assert check_ledger(before, [_row([[0, 0, 1, 1, 1, 1]], name="b")]) == []
    lost = check_ledger(before, [_row([[0, 1, 2, 3, 1, 1]], name="b")])
    assert lost == ["total: 33.33% zeros became 16.67%", "total: 1 values per tensor became 3"]


def test_new_nan_and_subnormal_numbers_are_named():
    lost = check_ledger([_row([[1, 2]])], [_row([[float("nan"), 1e-40]])])
    assert lost == ["a: 1 elements are not a number", "a: 1 elements are subnormal; flush them"]


def test_subnormal_numbers_are_flushed_and_others_left_alone(network):
    network.head.weight.data[0, 0] = 1e-40
    network.stem[1].running_var[0] = -1e-40
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert flush_subnormals(network) == 2
    assert flush_subnormals(network) == 0
    changed = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed == ["stem.1.running_var", "head.weight"]
    assert total(model_ledger(network)).subnormal == 0
