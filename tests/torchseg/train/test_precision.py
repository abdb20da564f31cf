from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from torchseg.train import MixedPrecision, choose_precision
from torchseg.train.precision import forward_context

CPU = torch.device("cpu")


def test_bfloat16_is_used_only_where_the_processor_computes_in_it(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert choose_precision("auto", CPU) == "fp32"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_precision("auto", CPU) == "bf16"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert choose_precision("auto", CPU) == "fp32"


def test_a_build_that_cannot_tell_trains_in_float32(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert choose_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize("supported", [False, True])
@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_a_precision_that_was_asked_for_is_used_on_every_machine(wanted, supported, monkeypatch):
    monkeypatch.setattr("torchseg.train.precision._has_bf16", lambda device: supported)
    assert choose_precision(wanted, CPU) == wanted


class _Recording(nn.Conv2d):
    def forward(self, images):
        self.seen = super().forward(images).dtype
        return super().forward(images)


@pytest.mark.parametrize(("precision", "inside"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_operators_compute_in_the_precision_and_logits_and_gradients_are_float32(precision, inside):
    network = _Recording(3, 2, 1)
    logits = MixedPrecision(network, precision)(torch.randn(2, 3, 4, 4))
    logits.sum().backward()
    assert network.seen == inside
    assert logits.dtype == network.weight.grad.dtype == torch.float32


def test_a_thread_that_leaves_mixed_precision_leaves_others_in_it():
    network, images, inside = nn.Conv2d(3, 2, 1), torch.randn(2, 3, 4, 4), threading.Barrier(2)
    kinds = []

    def first():
        with forward_context("bf16", CPU):
            inside.wait()
            inside.wait()  # the other thread has left
            kinds.append(network(images).dtype)

    def second():
        with forward_context("bf16", CPU):
            inside.wait()
        inside.wait()
        kinds.append(network(images).dtype)

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(kinds) == {torch.bfloat16, torch.float32}
    assert not torch.is_autocast_enabled("cpu")
