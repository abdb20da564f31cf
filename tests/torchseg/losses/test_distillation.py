from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.losses import SOFT_LOSSES, distillation_loss, feature_loss, parse_terms, soft_loss
from torchseg.losses.distillation import correlation_loss, soft_dice_loss

seeds = st.integers(0, 2**31 - 1)
temperatures = st.floats(0.5, 10)
names = st.sampled_from(list(SOFT_LOSSES))
MEANS = [name for name in SOFT_LOSSES if name != "picture_sum"]
WITH_VALID = [name for name in SOFT_LOSSES if name != "over_width"]  # which cannot leave pixels out


def _logits(seed, shape=(2, 3, 4, 5)):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(seeds, temperatures)
def test_agreeing_networks_cost_nothing(seed, temperature):
    logits = _logits(seed)
    assert distillation_loss(logits, logits, temperature=temperature).item() == pytest.approx(0, abs=1e-5)


@given(seeds, temperatures)
def test_the_loss_is_never_negative(seed, temperature):
    assert distillation_loss(_logits(seed), _logits(seed + 1), temperature=temperature) > -1e-6


@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_picture_and_batch_size_do_not_matter(seed, copies, tiles):
    student, teacher = _logits(seed), _logits(seed + 1)
    once = distillation_loss(student, teacher, temperature=2.0)
    larger = [logits.repeat(copies, 1, tiles, tiles) for logits in (student, teacher)]
    assert distillation_loss(*larger, temperature=2.0).item() == pytest.approx(once.item(), rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_two_classes_follow_the_closed_form(temperature):
    """KL of Bernoulli distributions with logit differences s and t, by hand."""
    s, t = 0.7, -1.3
    p, q = (1 / (1 + math.exp(-z / temperature)) for z in (t, s))
    expected = temperature**2 * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    student, teacher = (torch.tensor([z, 0.0]).view(1, 2, 1, 1) for z in (s, t))
    assert distillation_loss(student, teacher, temperature=temperature).item() == pytest.approx(expected, rel=1e-5)


def test_the_softmax_runs_over_classes_and_not_over_the_width():
    student, teacher = _logits(0), _logits(1)
    shifted = teacher + torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(2))  # the same opinion
    expected = distillation_loss(student, teacher, temperature=1.0).item()
    assert distillation_loss(student, shifted, temperature=1.0).item() == pytest.approx(expected, rel=1e-4)


def test_only_valid_pixels_count():
    student, teacher = _logits(0), _logits(1)
    valid = torch.zeros(2, 4, 5, dtype=torch.bool)
    valid[0, :2] = True
    expected = distillation_loss(student[:1, :, :2], teacher[:1, :, :2], temperature=3.0)
    assert distillation_loss(student, teacher, temperature=3.0, valid=valid).item() == pytest.approx(expected.item())


def test_no_valid_pixel_costs_nothing():
    valid = torch.zeros(2, 4, 5, dtype=torch.bool)
    assert distillation_loss(_logits(0), _logits(1), temperature=1.0, valid=valid) == 0


def test_the_teacher_gets_no_gradient():
    student, teacher = _logits(0).requires_grad_(), _logits(1).requires_grad_()
    distillation_loss(student, teacher, temperature=1.0).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_half_precision_logits_are_compared_in_float32():
    student, teacher = _logits(0).bfloat16(), _logits(1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = distillation_loss(student, teacher, temperature=4.0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(distillation_loss(student.float(), teacher.float(), temperature=4.0).item())


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"student logits are \(2, 3, 4, 5\) and teacher logits \(2, 2, 4, 5\)"):
        distillation_loss(_logits(0), _logits(1)[:, :2], temperature=1.0)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature is 0; give a positive number"):
        distillation_loss(_logits(0), _logits(1), temperature=0)


@given(names, seeds, temperatures)
def test_agreeing_networks_cost_nothing_whichever_way_they_are_compared(name, seed, temperature):
    logits = _logits(seed)
    assert SOFT_LOSSES[name](logits, logits, temperature=temperature).item() == pytest.approx(0, abs=1e-4)


@given(names, seeds, temperatures)
def test_disagreeing_networks_cost_something_and_no_way_to_compare_them_gives_less_than_nothing(
    name, seed, temperature
):
    loss = SOFT_LOSSES[name](_logits(seed), _logits(seed + 1), temperature=temperature)
    assert loss > 1e-4
    rounding = 1e-5 * max(1.0, temperature) ** 2  # the losses are multiplied by the square of the temperature
    assert SOFT_LOSSES[name](_logits(seed), _logits(seed) + 1e-3, temperature=temperature) > -rounding


@given(st.sampled_from(MEANS), seeds, st.integers(1, 3), st.integers(1, 3))
def test_no_mean_depends_on_picture_and_batch_size(name, seed, copies, tiles):
    student, teacher = _logits(seed), _logits(seed + 1)
    once = SOFT_LOSSES[name](student, teacher, temperature=2.0)
    larger = [logits.repeat(copies, 1, tiles, tiles) for logits in (student, teacher)]
    assert SOFT_LOSSES[name](*larger, temperature=2.0).item() == pytest.approx(once.item(), rel=1e-4)


@given(st.sampled_from(WITH_VALID), seeds, temperatures)
def test_ignored_pixels_change_nothing(name, seed, temperature):
    student, teacher = _logits(seed), _logits(seed + 1)
    valid = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(seed)) < 0.5
    valid[:, 0, :2] = True  # some pixels of each picture count
    other = [torch.where(valid[:, None], each, _logits(seed + number)) for number, each in ((2, student), (3, teacher))]
    before, after = (
        SOFT_LOSSES[name](*pair, temperature=temperature, valid=valid).item() for pair in ((student, teacher), other)
    )
    assert after == pytest.approx(before, rel=1e-5)


@pytest.mark.parametrize("name", WITH_VALID)
def test_the_same_pixels_count_where_nothing_says_that_they_are_ignored(name):
    valid = torch.ones(2, 4, 5, dtype=torch.bool)
    valid[:, 2:] = False
    all_pixels, some = (
        SOFT_LOSSES[name](_logits(0), _logits(1), temperature=2.0, valid=each).item() for each in (None, valid)
    )
    assert all_pixels != pytest.approx(some, rel=1e-3)


@pytest.mark.parametrize("name", WITH_VALID)
def test_ignored_pixels_get_no_gradient(name):
    student, valid = _logits(0).requires_grad_(), torch.ones(2, 4, 5, dtype=torch.bool)
    valid[:, 2:] = False
    SOFT_LOSSES[name](student, _logits(1), temperature=2.0, valid=valid).backward()
    assert not student.grad[:, :, 2:].any()
    assert student.grad[:, :, :2].any()


@pytest.mark.parametrize("name", WITH_VALID)
def test_a_batch_without_a_valid_pixel_costs_nothing_and_gives_a_finite_gradient(name):
    student, nowhere = _logits(0).requires_grad_(), torch.zeros(2, 4, 5, dtype=torch.bool)
    loss = SOFT_LOSSES[name](student, _logits(1), temperature=2.0, valid=nowhere)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert not student.grad.any()


@pytest.mark.parametrize("name", SOFT_LOSSES)
def test_one_valid_pixel_or_none_in_one_of_the_pictures_is_enough(name):
    student, valid = _logits(0).requires_grad_(), torch.zeros(2, 4, 5, dtype=torch.bool)
    valid[0, 0, 0] = True
    loss = SOFT_LOSSES[name](student, _logits(1), temperature=2.0, valid=valid)
    loss.backward()
    assert torch.isfinite(loss)
    assert loss >= 0
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("name", SOFT_LOSSES)
def test_no_teacher_gets_a_gradient_and_every_student_does(name):
    student, teacher = _logits(0).requires_grad_(), _logits(1).requires_grad_()
    SOFT_LOSSES[name](student, teacher, temperature=2.0).backward()
    assert student.grad.any()
    assert teacher.grad is None


@pytest.mark.parametrize("name", SOFT_LOSSES)
def test_every_way_compares_in_float32_and_refuses_other_shapes_and_temperatures(name):
    with torch.autocast("cpu", torch.bfloat16):
        loss = SOFT_LOSSES[name](_logits(0).bfloat16(), _logits(1).bfloat16(), temperature=4.0)
    assert loss.dtype == torch.float32
    with pytest.raises(ValueError, match="both networks must have the same classes and image size"):
        SOFT_LOSSES[name](_logits(0), _logits(1)[:1], temperature=1.0)
    with pytest.raises(ValueError, match="temperature is 0; give a positive number"):
        SOFT_LOSSES[name](_logits(0), _logits(1), temperature=0)


@given(seeds, st.integers(0, 19))
def test_for_a_certain_teacher_soft_dice_is_one_minus_dice(seed, pixel):
    """Dice by hand: twice the shared area over the sum of both, averaged over the classes that the teacher finds."""
    student = _logits(seed)
    labels = torch.randint(0, 2, (2, 4, 5), generator=torch.Generator().manual_seed(seed))  # never class 2
    labels[0].flatten()[pixel] = 1
    truth = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    ours = student.softmax(dim=1)
    dice = [2 * (ours[:, k] * truth[:, k]).sum() / (ours[:, k].sum() + truth[:, k].sum()) for k in labels.unique()]
    expected = 1 - sum(dice) / len(dice)
    assert soft_dice_loss(student, 1000 * truth, temperature=1.0).item() == pytest.approx(expected.item(), rel=1e-4)


@given(seeds)
def test_soft_dice_averages_over_the_classes_that_the_teacher_picks_somewhere(seed):
    student, teacher = _logits(seed), _logits(seed + 1)
    teacher[:, 2] = teacher[:, :2].amin(dim=1) - 1  # has a share of every pixel, but is nowhere the first choice
    loss = soft_dice_loss(student, teacher, temperature=1.0)
    p, q = teacher.softmax(dim=1), student.softmax(dim=1)
    picked = teacher.argmax(dim=1).unique().tolist()
    assert 2 not in picked
    each = [(p[:, k] - q[:, k]).abs().sum() / (p[:, k] + q[:, k]).sum() for k in picked]
    assert loss.item() == pytest.approx((sum(each) / len(each)).item(), rel=1e-4)


def test_soft_dice_is_no_larger_than_one_and_counts_a_class_by_its_overlap_not_its_size():
    teacher = torch.zeros(1, 2, 10, 10)
    teacher[:, 0], teacher[:, 0, 0, 0], teacher[:, 1, 0, 0] = 100, 0, 100  # class 1 has one pixel of a hundred
    missed = torch.zeros(1, 2, 10, 10)
    missed[:, 0] = 100
    assert soft_dice_loss(missed, teacher, temperature=1.0).item() == pytest.approx((1 / 199 + 1) / 2, rel=1e-4)
    assert soft_dice_loss(-teacher, teacher, temperature=1.0).item() == pytest.approx(1)


def test_networks_that_agree_on_a_class_nowhere_or_on_nothing_agree_in_correlation_too():
    logits = _logits(0)
    logits[:, 0] = -500  # no pixel has it, and its probability never varies
    assert correlation_loss(logits, logits, temperature=1.0).item() == pytest.approx(0, abs=1e-5)
    undecided = torch.zeros(2, 3, 4, 5, requires_grad=True)
    loss = correlation_loss(undecided, undecided.detach(), temperature=1.0)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert torch.isfinite(undecided.grad).all()
    assert correlation_loss(undecided, _logits(1), temperature=1.0) > 1.9  # but not with a teacher that has decided


def test_correlation_asks_for_the_order_of_classes_and_not_for_their_probabilities():
    p = torch.tensor([0.6, 0.3, 0.1]).view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    p[..., 0] = p[:, [2, 0, 1], :, 0]
    milder = 0.5 * p + 0.5 / 3  # another probability of every class, in a line with the first
    assert correlation_loss(milder.log(), p.log(), temperature=1.0).item() == pytest.approx(0, abs=1e-4)
    assert distillation_loss(milder.log(), p.log(), temperature=1.0) > 0.05


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_standardised_logits_have_no_range(factor):
    student, teacher = _logits(0), _logits(1)
    loss, other = (SOFT_LOSSES["standardised"](each, teacher, temperature=2.0) for each in (student, factor * student))
    assert other.item() == pytest.approx(loss.item(), rel=1e-4)


def test_channels_are_compared_along_the_pixels_of_each_picture():
    """Three pixels by hand: the shares of each pixel in a class, not those of each class in a pixel."""
    student, teacher = torch.tensor([0.2, 1.0, -1.0]), torch.tensor([2.0, 0.0, 0.5])
    p, q = (each.softmax(dim=0) for each in (teacher, student))
    expected = (p * (p / q).log()).sum()
    maps = (each.view(1, 1, 1, 3).repeat(2, 4, 1, 1) for each in (student, teacher))
    assert SOFT_LOSSES["channel"](*maps, temperature=1.0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_sum_over_a_picture_grows_with_it():
    student, teacher = _logits(0), _logits(1)
    mean, total = (SOFT_LOSSES[name](student, teacher, temperature=2.0) for name in ("kl", "picture_sum"))
    assert total.item() == pytest.approx(4 * 5 * mean.item(), rel=1e-5)
    valid = torch.zeros(2, 4, 5, dtype=torch.bool)
    valid[0, 0, :3] = True
    mean, total = (SOFT_LOSSES[name](student, teacher, temperature=2.0, valid=valid) for name in ("kl", "picture_sum"))
    assert total.item() == pytest.approx(3 / 2 * mean.item(), rel=1e-5)


def test_a_softmax_over_the_width_does_not_see_which_class_wins():
    student = _logits(0)
    teacher = student.clone()
    teacher[:, 0] += 100.0  # says class 0 everywhere, and that equally along every row
    assert SOFT_LOSSES["over_width"](student, teacher, temperature=1.0).item() == pytest.approx(0, abs=1e-5)
    assert SOFT_LOSSES["kl"](student, teacher, temperature=1.0) > 1


def test_the_earlier_name_of_the_divergence_is_still_known():
    assert SOFT_LOSSES["mean"] is SOFT_LOSSES["kl"] is distillation_loss


def test_terms_add_up_by_their_weights():
    student, teacher = _logits(0), _logits(1)
    valid = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    options = {"temperature": 2.0, "valid": valid}
    kl, dice = (SOFT_LOSSES[name](student, teacher, **options) for name in ("kl", "dice"))
    both = soft_loss(student, teacher, terms={"kl": 2.0, "dice": 0.5}, **options)
    assert both.item() == pytest.approx(2 * kl.item() + 0.5 * dice.item())
    assert both.shape == ()


def _parsed(text):
    return parse_terms(text, known=SOFT_LOSSES, flag="soft_loss")


def test_the_flag_names_terms_and_their_weights():
    assert _parsed("kl+dice") == {"kl": 1.0, "dice": 1.0}
    assert _parsed("0.25*dist + standardised") == {"dist": 0.25, "standardised": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kd", r"soft_loss 'kd' names 'kd' .*choose from kl, dice, channel"),
        ("", "soft_loss '' names ''"),
        ("kl+", r"soft_loss 'kl\+' names ''"),
        ("chanel", r"did you mean 'channel'\?"),
        ("focal", "soft_loss 'focal' names 'focal'"),  # which is a loss on masks
        ("kl+kl", r"soft_loss is 'kl\+kl'; name each term once, with a positive weight, e.g. kl\+0.5\*dice"),
        ("0*kl", "soft_loss is '0\\*kl'; .*with a positive weight"),
        ("inf*kl", "with a positive weight"),
        ("nan*kl", "with a positive weight"),
        ("half*kl", "with a positive weight"),
    ],
)
def test_another_form_of_the_flag_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        _parsed(text)


@given(seeds, st.floats(0.1, 10))
def test_features_are_compared_by_their_direction(seed, scale):
    features = _logits(seed)
    assert feature_loss(features, scale * features).item() == pytest.approx(0, abs=1e-5)
    assert feature_loss(features, -scale * features).item() == pytest.approx(2, abs=1e-5)


def test_features_of_pixels_that_are_not_valid_do_not_count():
    features, other = _logits(0), _logits(1)
    valid = torch.zeros(2, 4, 5, dtype=torch.bool)
    valid[0, 1, 2] = True
    expected = 1 - torch.cosine_similarity(features[0, :, 1, 2], other[0, :, 1, 2], dim=0)
    assert feature_loss(features, other, valid=valid).item() == pytest.approx(expected.item(), abs=1e-6)
    assert feature_loss(features, other, valid=~valid & valid) == 0


def test_no_gradient_reaches_the_features_of_the_teacher():
    student, teacher = _logits(0).requires_grad_(), _logits(1).requires_grad_()
    feature_loss(student, teacher).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None
