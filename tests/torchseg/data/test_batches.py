from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.data import Batches, BatchPlan, RandomView, open_data
from torchseg.data.datasets.scenes import Scenes


def _plan(**changes):
    return BatchPlan(**{"labelled": 10, "transfer": 0, "batch_size": 4, "seed": 0} | changes)


@given(st.integers(4, 40), st.integers(2, 4), st.integers(0, 99))
def test_every_pass_shows_each_labelled_picture_once(labelled, batch_size, seed):
    plan = _plan(labelled=labelled, batch_size=batch_size, seed=seed)
    shown = [draw.picture for step in range(labelled) for draw in plan.step(step)]  # `batch_size` whole passes
    assert set(Counter(shown).values()) == {batch_size}


def test_half_of_every_batch_comes_from_the_transfer_set():
    for step in range(20):
        draws = _plan(transfer=7).step(step)
        assert sum(draw.transfer for draw in draws) == 2
        assert all(draw.picture < (7 if draw.transfer else 10) for draw in draws)


def test_a_step_depends_on_seed_and_number_alone():
    assert _plan().step(5) == _plan().step(5)
    assert _plan().step(5) != _plan(seed=1).step(5)
    assert _plan().step(5) != _plan().step(6)


def _batches(**options):
    view = RandomView(height=16, width=16)
    labelled = Scenes("train", height=16, width=16, length=10)
    transfer = Scenes("transfer", height=16, width=16, length=7)
    return Batches(labelled, transfer, view=view, plan=_plan(transfer=7), **{"workers": 0} | options)


@pytest.mark.parametrize(("transfer", "cycle"), [(0, 3 * 3), (6, 3 * 5), (14, 3 * 7)])
def test_limited_views_come_again_when_every_picture_had_its_share(transfer, cycle):
    plan = _plan(transfer=transfer, views=3)
    seen = [plan.step(step) for step in range(2 * cycle)]
    assert seen[:cycle] == seen[cycle:]
    assert len({draw.seed for step in seen for draw in step}) == cycle * plan.batch_size
    shown = Counter((draw.transfer, draw.picture) for step in seen[:cycle] for draw in step)
    assert len(shown) == 10 + transfer
    assert min(shown.values()) >= 3


def test_a_batch_of_another_mixture_has_other_seeds():
    seeds = [{draw.seed for draw in _plan(transfer=transfer).step(0)} for transfer in (0, 6)]
    assert not seeds[0] & seeds[1]


def test_transfer_pictures_are_marked_and_their_masks_ignored():
    for batch in _batches().epoch(0):
        assert batch.pictures.shape == (4, 3, 16, 16)
        assert batch.labelled.tolist() == [True, True, False, False]
        assert (batch.masks[~batch.labelled] == 255).all()


def test_processes_share_each_batch():
    whole = list(_batches().epoch(1))
    parts = [list(_batches(rank=rank, processes=2).epoch(1)) for rank in (0, 1)]
    for number, batch in enumerate(whole):
        assert torch.equal(batch.pictures[0::2], parts[0][number].pictures)
        assert torch.equal(batch.pictures[1::2], parts[1][number].pictures)


def test_workers_see_what_the_training_process_would_see():
    for alone, helped in zip(_batches().epoch(3), _batches(workers=1).epoch(3), strict=True):
        assert torch.equal(alone.pictures, helped.pictures)


@pytest.mark.slow
def test_a_worker_that_begins_afresh_sees_the_same(spawned, write_pair, tmp_path):
    for number in range(20):
        write_pair(f"picture{number}")
    samples = open_data("folder", tmp_path, size=(16, 16)).train
    view, plan = RandomView(height=16, width=16), _plan(labelled=len(samples))
    alone, helped = (Batches(samples, (), view=view, plan=plan, workers=workers) for workers in (0, 1))
    for one, other in zip(alone.epoch(0), helped.epoch(0), strict=True):
        assert torch.equal(one.pictures, other.pictures)
        assert torch.equal(one.masks, other.masks)
