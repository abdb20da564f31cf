from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.data import Batches, BatchPlan, RandomView, Sample, open_data
from torchseg.data.datasets.scenes import Scenes


def _plan(**changes):
    return BatchPlan(**{"labelled": 10, "transfer": 0, "batch_size": 4, "seed": 0} | changes)


@given(st.integers(4, 40), st.integers(2, 4), st.integers(0, 99))
def test_every_pass_shows_each_labelled_picture_once(labelled, batch_size, seed):
    plan = _plan(labelled=labelled, batch_size=batch_size, seed=seed)
    shown = [draw.picture for step in range(labelled) for draw in plan.step(step)]  # `batch_size` whole passes
    assert set(Counter(shown).values()) == {batch_size}


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 99))
def test_images_without_masks_come_on_top_of_the_labelled_ones(transfer, transfer_batch, seed):
    plan = _plan(transfer=transfer, transfer_batch=transfer_batch, seed=seed)
    assert plan.size == 4 + transfer_batch
    assert plan.steps_per_epoch == 10 // 4  # counted in labelled images alone
    for step in range(10):
        draws = plan.step(step)
        assert [draw.transfer for draw in draws] == [False] * 4 + [True] * transfer_batch
        assert all(draw.picture < (transfer if draw.transfer else 10) for draw in draws)
        # How many there are does not change which labelled images and views a step has: runs compare.
        assert draws[:4] == _plan(seed=seed).step(step)


@given(st.integers(1, 40), st.integers(1, 9))
def test_every_pass_shows_each_image_without_a_mask_once(transfer, transfer_batch):
    plan = _plan(transfer=transfer, transfer_batch=transfer_batch)
    shown = [draw.picture for step in range(transfer) for draw in plan.step(step) if draw.transfer]
    assert Counter(shown) == dict.fromkeys(range(transfer), transfer_batch)


def test_a_transfer_set_that_no_step_takes_from_changes_nothing():
    assert [_plan(transfer=7).step(step) for step in range(9)] == [_plan().step(step) for step in range(9)]
    assert _plan(transfer=7).size == 4


def test_images_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="transfer_batch is 2, but there are no images without masks; give 0"):
        _plan(transfer_batch=2)


def test_labelled_images_and_the_same_images_without_masks_are_seen_in_other_views():
    draws = [draw for step in range(20) for draw in _plan(transfer=10, transfer_batch=4).step(step)]
    assert len({draw.seed for draw in draws}) == len(draws) == 20 * 8


def test_a_step_depends_on_seed_and_number_alone():
    assert _plan().step(5) == _plan().step(5)
    assert _plan().step(5) != _plan(seed=1).step(5)
    assert _plan().step(5) != _plan().step(6)


def _batches(**options):
    view = RandomView(height=16, width=16)
    labelled = Scenes("train", height=16, width=16, length=10)
    transfer = Scenes("transfer", height=16, width=16, length=7)
    plan = _plan(transfer=7, transfer_batch=4)
    return Batches(labelled, transfer, view=view, plan=plan, **{"workers": 0} | options)


def test_limited_views_come_again_when_every_labelled_picture_had_its_share():
    plan = _plan(views=3)
    cycle = 3 * 3  # 10 images make three steps of 4
    seen = [plan.step(step) for step in range(2 * cycle)]
    assert seen[:cycle] == seen[cycle:]
    assert len({draw.seed for step in seen for draw in step}) == cycle * plan.batch_size
    shown = Counter(draw.picture for step in seen[:cycle] for draw in step)
    assert len(shown) == 10
    assert min(shown.values()) >= 3


@pytest.mark.parametrize(
    ("transfer", "transfer_batch", "cycle"), [(6, 4, 3 * 2), (14, 4, 3 * 4), (14, 2, 3 * 7), (3, 8, 3)]
)
def test_limited_views_of_images_without_masks_come_again_while_labelled_ones_stay_new(transfer, transfer_batch, cycle):
    plan = _plan(transfer=transfer, transfer_batch=transfer_batch, views=3)
    steps = [plan.step(step) for step in range(2 * cycle)]
    asked = [step[4:] for step in steps]
    assert asked[:cycle] == asked[cycle:]
    assert len({draw.seed for step in asked for draw in step}) == cycle * transfer_batch
    shown = Counter(draw.picture for step in asked[:cycle] for draw in step)
    assert len(shown) == transfer
    assert min(shown.values()) >= 3
    assert [step[:4] for step in steps] == [_plan().step(step) for step in range(2 * cycle)]
    assert len({draw.seed for step in steps for draw in step[:4]}) == 2 * cycle * 4


def test_without_a_number_of_views_every_step_has_new_ones():
    steps = [_plan(transfer=6, transfer_batch=4).step(step) for step in range(40)]
    assert len({draw.seed for step in steps for draw in step}) == 40 * 8


def test_the_first_steps_have_views_of_half_the_size():
    plan = BatchPlan(labelled=5, batch_size=2, seed=0, transfer=3, transfer_batch=1, half_size_steps=2)
    sizes = [{draw.half_size for draw in plan.step(step)} for step in range(4)]
    assert sizes == [{True}, {True}, {False}, {False}]


def test_a_batch_of_half_the_size_has_smaller_images_and_masks():
    plan = BatchPlan(labelled=2, batch_size=2, seed=0, half_size_steps=1)
    sample = Sample(name="a", picture=np.zeros((200, 130, 3), np.uint8), mask=np.zeros((200, 130), np.uint8))
    batches = Batches([sample, sample], (), view=RandomView(height=192, width=128), plan=plan, workers=0)
    small, large = (next(batches.epoch(number)) for number in range(2))
    assert (small.pictures.shape, small.masks.shape) == ((2, 3, 96, 64), (2, 96, 64))
    assert (large.pictures.shape, large.masks.shape) == ((2, 3, 192, 128), (2, 192, 128))


@pytest.mark.parametrize("changes", [{"transfer": 7}, {"transfer_batch": 3}, {"seed": 1}])
def test_a_batch_of_another_mixture_has_other_seeds(changes):
    """A teacher uses them as keys: equal ones must stand for equal images."""
    first = {"transfer": 6, "transfer_batch": 4}
    seeds = [{draw.seed for draw in _plan(**first | each).step(0) if draw.transfer} for each in ({}, changes)]
    assert not seeds[0] & seeds[1]


def test_labelled_seeds_depend_on_the_number_of_images_and_the_size_of_a_batch():
    seeds = [{draw.seed for draw in _plan(**each).step(0)} for each in ({}, {"labelled": 11}, {"batch_size": 5})]
    assert not seeds[0] & seeds[1]
    assert not seeds[0] & seeds[2]


def test_transfer_pictures_are_marked_come_last_and_their_masks_are_ignored():
    for batch in _batches().epoch(0):
        assert batch.pictures.shape == (8, 3, 16, 16)
        assert batch.labelled.tolist() == [True] * 4 + [False] * 4
        assert (batch.masks[~batch.labelled] == 255).all()
        assert len(batch.targets) == 0


def test_rows_of_a_batch_take_the_targets_that_belong_to_them():
    """Targets are those of the last images."""
    batch = next(_batches().epoch(0))._replace(targets=torch.arange(4 * 2).view(4, 2, 1, 1))
    for first, last, targets in (
        (0, 4, []),
        (4, 8, [0, 1, 2, 3]),
        (3, 6, [0, 1]),
        (6, 8, [2, 3]),
        (0, 8, [0, 1, 2, 3]),
    ):
        rows = batch.rows(first, last)
        assert torch.equal(rows.pictures, batch.pictures[first:last])
        assert torch.equal(rows.masks, batch.masks[first:last])
        assert rows.labelled.tolist() == batch.labelled[first:last].tolist()
        assert rows.seeds.tolist() == batch.seeds[first:last].tolist()
        assert rows.targets[:, 0].flatten().tolist() == [2 * each for each in targets]
    every = batch._replace(targets=torch.arange(8.0))  # one for each image
    assert every.rows(2, 5).targets.tolist() == [2, 3, 4]
    assert batch.rows(0, 4).rows(1, 3).targets.shape[0] == 0
    assert torch.equal(batch.rows(3, 8).rows(1, 5).targets, batch.targets)


def test_processes_share_each_batch():
    whole = list(_batches().epoch(1))
    parts = [list(_batches(rank=rank, processes=2).epoch(1)) for rank in (0, 1)]
    for number, batch in enumerate(whole):
        assert torch.equal(batch.pictures[0::2], parts[0][number].pictures)
        assert torch.equal(batch.pictures[1::2], parts[1][number].pictures)
        for part in parts:
            assert part[number].labelled.tolist() == [True, True, False, False]  # labelled ones first here, too


def test_workers_see_what_the_training_process_would_see():
    for alone, helped in zip(_batches().epoch(3), _batches(workers=1).epoch(3), strict=True):
        assert torch.equal(alone.pictures, helped.pictures)
        assert alone.targets.shape == helped.targets.shape == (0,)


@pytest.mark.parametrize("workers", [0, 1])
def test_epochs_follow_each_other_or_come_in_any_order(workers):
    expected = [[batch.seeds.tolist() for batch in _batches().epoch(number)] for number in range(4)]
    batches = _batches(workers=workers)
    for number in (0, 1, 3, 3, 2):
        assert [batch.seeds.tolist() for batch in batches.epoch(number)] == expected[number]
    next(batches.epoch(0))  # the rest of an epoch is left out
    assert next(batches.epoch(0)).seeds.tolist() == expected[0][0]


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
