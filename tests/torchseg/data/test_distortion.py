from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.data import Batches, BatchPlan, Distortion, RandomView
from torchseg.data.datasets.scenes import Scenes


def _picture(seed=0):
    return torch.randint(0, 256, (3, 16, 24), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@given(st.integers(0, 2**31 - 1))
def test_a_distorted_image_keeps_shape_and_range(seed):
    distorted = Distortion()(_picture(seed), seed=seed)
    assert distorted.shape == (3, 16, 24)
    assert distorted.dtype == torch.uint8


def test_the_seed_decides_and_the_global_random_state_stays():
    before = torch.get_rng_state()
    first, again, other = (Distortion()(_picture(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_geometry_stays_where_it_was():
    picture = torch.zeros(3, 16, 24, dtype=torch.uint8)
    picture[:, :, 12:] = 200
    for seed in range(8):
        distorted = Distortion()(picture, seed=seed).float().mean(dim=(0, 1))
        assert distorted[15:].mean() > distorted[:9].mean()


def _batches(**options):
    plan = BatchPlan(labelled=4, batch_size=2, seed=0, transfer=5, transfer_batch=3)
    labelled, transfer = (Scenes(split, height=16, width=16, length=5) for split in ("train", "transfer"))
    return Batches(labelled, transfer, view=RandomView(height=16, width=16), plan=plan, workers=0, **options)


def test_only_images_without_masks_are_distorted_and_the_teacher_sees_them_plain():
    plain, distorted = (next(_batches(distort=distort).epoch(0)) for distort in (None, Distortion()))
    assert torch.equal(distorted.pictures[:2], plain.pictures[:2])
    assert not torch.equal(distorted.pictures[2:], plain.pictures[2:])
    assert torch.equal(distorted.plain, plain.pictures[2:])
    assert len(plain.plain) == 0


def test_rows_of_a_batch_keep_what_belongs_to_them():
    batch = next(_batches(distort=Distortion()).epoch(0))
    batch = batch._replace(targets=torch.arange(3.0).view(3, 1, 1, 1))
    labelled, others = batch.rows(0, 2), batch.rows(2, 5)
    assert len(labelled.targets) == len(labelled.plain) == 0
    assert torch.equal(others.plain, batch.plain)
    assert batch.rows(1, 4).targets.flatten().tolist() == [0.0, 1.0]
