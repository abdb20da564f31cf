from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.adopt.key_matching import match_keys

OWN = {
    "network.enter.weight": torch.zeros(4, 3),
    "network.enter.bias": torch.zeros(4),
    "network.norm.num_batches_tracked": torch.tensor(0),
    "network.head.weight": torch.zeros(2, 4),
}
WEIGHTS = {
    "enter.weight": torch.ones(4, 3),
    "enter.bias": torch.ones(4),
    "norm.num_batches_tracked": torch.tensor(7),
    "head.weight": torch.ones(2, 4),
}
wrappers = st.lists(st.sampled_from(["module.", "model.", "net.", "network.", "_orig_mod.", "student."]), max_size=4)


@given(wrappers)
def test_no_chain_of_wrappers_matters(chain):
    matching = match_keys({"".join(chain) + name: tensor for name, tensor in WEIGHTS.items()}, OWN)
    assert matching.fits
    assert set(matching.tensors) == set(OWN)
    assert all(torch.equal(matching.tensors[f"network.{name}"], WEIGHTS[name]) for name in WEIGHTS)


def test_the_prefix_is_reported_and_what_lies_outside_it():
    theirs = {f"net.{name}": tensor for name, tensor in WEIGHTS.items()} | {"loss.weight": torch.ones(2)}
    matching = match_keys(theirs, OWN)
    assert matching.fits
    assert matching.notes == ["names lose the prefix 'net.'", "1 tensor outside 'net.' is left out, e.g. loss.weight"]


def test_plain_weights_win_over_averaged_ones_beside_them():
    theirs = {f"ema.{name}": 2 * tensor for name, tensor in WEIGHTS.items()}
    theirs |= {f"model_of_mine.{name}": tensor for name, tensor in WEIGHTS.items()}
    assert float(match_keys(theirs, OWN).tensors["network.enter.bias"][0]) == 1


def test_a_checkpoint_without_the_counters_of_batch_norm_fits():
    theirs = {name: tensor for name, tensor in WEIGHTS.items() if "tracked" not in name}
    assert match_keys(theirs, OWN).fits


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_and_says_so(kind):
    matching = match_keys({name: tensor.to(kind) for name, tensor in WEIGHTS.items()}, OWN)
    assert matching.tensors["network.enter.weight"].dtype == torch.float32
    assert matching.notes == [f"{str(kind)[6:]} weights become float32"]


def test_observers_of_quantization_aware_training_are_dropped():
    observers = {
        f"enter.{name}": torch.ones(1)
        for name in ("weight_fake_quant.scale", "activation_post_process.activation_post_process.min_val")
    }
    matching = match_keys({**WEIGHTS, **observers}, OWN)
    assert matching.fits
    assert matching.notes == ["2 tensors of quantization observers are dropped; the weights are in float"]


def test_what_does_not_fit_is_listed_in_full_up_to_ten_names():
    theirs = {f"other.{number}.weight": torch.ones(1) for number in range(12)}
    theirs |= {"enter.weight": torch.ones(4, 3), "enter.bias": torch.ones(5), "haed.weight": torch.ones(2, 4)}
    text = match_keys(theirs, OWN).describe()
    assert "1 tensor is missing: head.weight (did you mean 'haed.weight'" in text
    assert "13 are unexpected (the first 10): other.0.weight, " in text
    assert "other.9.weight" in text
    assert "other.10.weight" not in text
    assert text.endswith("1 has another shape: enter.bias is (5,), not (4,)")
