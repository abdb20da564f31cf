from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.losses import DEFAULT_TERMS, TERMS, parse_terms, segmentation_loss

CHOICES = [DEFAULT_TERMS, *({name: 1.0} for name in TERMS), {"focal": 1.0, "dice": 0.5}]
WEIGHTS = [None, [0.1, 1.0, 5.0, 2.0]]


def _case(seed, classes=4):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, classes, (2, 6, 8), generator=generator)
    return torch.randn(2, classes, 6, 8, generator=generator), mask


@pytest.fixture(params=CHOICES, ids=lambda terms: "+".join(terms))
def terms(request):
    return request.param


@pytest.fixture(params=WEIGHTS, ids=["alike", "weighted"])
def weights(request):
    return request.param


@given(seed=st.integers(0, 2**31 - 1), terms=st.sampled_from(CHOICES), weights=st.sampled_from(WEIGHTS))
def test_ignored_pixels_do_not_count(seed, terms, weights):
    logits, mask = _case(seed)
    mask[:, :3] = 255
    changed = logits.clone()
    changed[:, :, :3] += 5 * torch.randn(2, 4, 3, 8, generator=torch.Generator().manual_seed(seed))
    options = {"ignore_index": 255, "terms": terms, "class_weights": weights}
    before, after = (segmentation_loss(each, mask, **options).item() for each in (logits, changed))
    assert before == pytest.approx(after, rel=1e-5)
    assert before > 0


def test_a_certain_and_right_network_costs_nothing(terms, weights):
    _, mask = _case(0)
    logits = 50 * torch.nn.functional.one_hot(mask, 4).permute(0, 3, 1, 2).float()
    if "focal" in terms:
        logits -= 25  # each class against the rest: a logit of 0 is no certainty
    logits.requires_grad_()
    loss = segmentation_loss(logits, mask, ignore_index=255, terms=terms, class_weights=weights)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-3)
    assert torch.isfinite(logits.grad).all()


def test_all_pixels_ignored_costs_nothing_and_gives_a_finite_gradient(terms, weights):
    logits, mask = _case(0)
    logits.requires_grad_()
    ignored = torch.full_like(mask, 255)
    loss = segmentation_loss(logits, ignored, ignore_index=255, terms=terms, class_weights=weights)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(logits.grad).all()


def test_repeating_the_batch_changes_nothing(terms, weights):
    logits, mask = _case(0)
    options = {"ignore_index": 255, "terms": terms, "class_weights": weights}
    once = segmentation_loss(logits, mask, **options)
    twice = segmentation_loss(logits.repeat(2, 1, 1, 1), mask.repeat(2, 1, 1), **options)
    # Pixels that repeat are sorted among each other in Lovasz, which moves its sum a little.
    assert once.item() == pytest.approx(twice.item(), rel=2e-2 if "lovasz" in terms else 1e-5)


def test_terms_add_up_by_their_weights():
    logits, mask = _case(0)
    focal, dice = (segmentation_loss(logits, mask, ignore_index=255, terms={name: 1.0}) for name in ("focal", "dice"))
    both = segmentation_loss(logits, mask, ignore_index=255, terms={"focal": 2.0, "dice": 0.5})
    assert both.item() == pytest.approx(2 * focal.item() + 0.5 * dice.item())


def test_equal_weights_are_no_weights():
    logits, mask = _case(0)
    for name in TERMS:
        options = {"ignore_index": 255, "terms": {name: 1.0}}
        alike, sixths = (
            segmentation_loss(logits, mask, class_weights=weights, **options) for weights in (None, [0.1666] * 4)
        )
        assert alike.item() == pytest.approx(sixths.item(), rel=1e-5)


def test_a_heavy_class_pulls_the_loss_towards_its_own_mistakes():
    mask = torch.zeros(1, 4, 4, dtype=torch.long)
    mask[:, 2:] = 1
    logits = torch.zeros(1, 2, 4, 4)
    logits[:, 0] = 4  # class 0 everywhere: class 1 is missed
    for name in ("cross_entropy", "dice", "tversky"):
        options = {"ignore_index": 255, "terms": {name: 1.0}}
        missed, found = (
            segmentation_loss(logits, mask, class_weights=weights, **options) for weights in ([1.0, 9.0], [9.0, 1.0])
        )
        assert missed > found


def test_a_flag_names_terms_and_their_weights():
    assert parse_terms("cross_entropy+dice") == DEFAULT_TERMS
    assert parse_terms("focal + 0.5*dice") == {"focal": 1.0, "dice": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lovazs", r"names 'lovazs' \(did you mean 'lovasz'\?\); choose from cross_entropy, dice"),
        ("", "names ''"),
        ("dice+dice", "name each term once"),
        ("-1*dice", "with a positive weight"),
        ("much*dice", "with a positive weight"),
        ("inf*dice", "with a positive weight"),
        ("nan*dice", "with a positive weight"),
    ],
)
def test_another_form_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_terms(text)
