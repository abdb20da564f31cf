from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from torchseg.train.averaging import averaged_model
from torchseg.train.callback import NoCallback
from torchseg.train.state import Progress, discard_progress, load_progress, save_progress


def test_windows_keeps_a_file_that_is_mapped(windows_files, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(9))
    values = np.load(tmp_path / "a.npy", mmap_mode="r")
    with pytest.raises(PermissionError, match="in use"):
        (tmp_path / "a.npy").unlink()
    del values
    (tmp_path / "a.npy").unlink()


def test_a_training_that_goes_on_can_be_saved_again(windows_files, tmp_path):
    network = nn.Conv2d(3, 8, 3)
    optimizer = torch.optim.AdamW(network.parameters())
    progress = Progress(epoch=1, best={name: value.clone() for name, value in network.state_dict().items()})
    save_progress(tmp_path, progress, network, optimizer, callback=NoCallback())
    resumed = load_progress(tmp_path, network, optimizer, callback=NoCallback())
    save_progress(tmp_path, resumed, network, optimizer, callback=NoCallback())
    assert torch.equal(
        load_progress(tmp_path, network, optimizer, callback=NoCallback()).best["weight"], network.weight
    )
    discard_progress(tmp_path)


def test_a_saved_average_comes_back_beside_the_weights(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    optimizer, averaged = torch.optim.AdamW(network.parameters()), averaged_model(network, decay=0.9)
    for _ in range(3):
        network(torch.randn(2, 3, 8, 8)).sum().backward()
        optimizer.step()
        averaged.update_parameters(network)
    progress = Progress(epoch=2, best={name: value.clone() for name, value in averaged.module.state_dict().items()})
    save_progress(tmp_path, progress, network, optimizer, callback=NoCallback(), averaged=averaged)
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    others = averaged_model(other, decay=0.9)
    resumed = load_progress(
        tmp_path, other, torch.optim.AdamW(other.parameters()), callback=NoCallback(), averaged=others
    )
    assert resumed.epoch == 2
    for mine, theirs in ((network, other), (averaged, others)):
        assert mine.state_dict().keys() == theirs.state_dict().keys()
        assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in mine.state_dict().items())
    assert others.n_averaged == 3
    assert not torch.equal(network[0].weight, averaged.module[0].weight)
    assert resumed.best.keys() == network.state_dict().keys()
