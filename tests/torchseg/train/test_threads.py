from __future__ import annotations

import pytest
import torch

from torchseg.train.threads import num_threads, thread_pool


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_each_worker_has_its_share_of_the_threads_which_come_back_afterwards():
    torch.set_num_threads(4)
    with thread_pool(2) as pool:
        assert list(pool.map(lambda _: torch.get_num_threads(), range(2))) == [2, 2]
    assert torch.get_num_threads() == 4


def test_there_are_no_more_workers_than_threads():
    torch.set_num_threads(1)
    with thread_pool(2) as pool:
        assert pool._max_workers == 1


def test_the_number_of_threads_is_as_before_when_an_error_ends_the_block():
    torch.set_num_threads(2)
    with pytest.raises(KeyError), num_threads(1):
        raise KeyError
    assert torch.get_num_threads() == 2
