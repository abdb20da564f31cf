from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

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
