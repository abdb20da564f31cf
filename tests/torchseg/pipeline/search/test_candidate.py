from __future__ import annotations

from dataclasses import replace

import pytest

from torchseg.config import SearchConfig
from torchseg.losses import parse_terms
from torchseg.models import parse_arguments
from torchseg.pipeline.search.candidate import as_given, candidate, check_space, given_trial
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=32, classes=("ground", "ring"))
SMALL = {"student": "small_unet"}
GIVEN = SearchConfig(
    **SMALL, loss="cross_entropy+0.5*dice", student_arguments="depth=2,upsampling=transposed,batch_norm=false"
)


def test_each_parameter_goes_to_its_flag():
    chosen = candidate(GIVEN, {"temperature": 4.0, "focal": 2.0, "dice": 1.0, "base_width": 4, "dropout": 1e-5})
    assert chosen.temperature == 4.0
    assert parse_terms(chosen.loss) == {"cross_entropy": 1.0, "dice": 1.0, "focal": 2.0}
    given = {"depth": 2, "upsampling": "transposed", "batch_norm": False}
    assert parse_arguments(chosen.student_arguments) == given | {"base_width": 4, "dropout": 1e-5}
    assert candidate(GIVEN, {}) == GIVEN


def test_the_weight_of_a_class_replaces_that_of_the_flags():
    given = replace(GIVEN, class_weights="0.5,0.25")
    assert candidate(given, {"class_weight_2": 0.75}).class_weights == "0.5,0.75"
    assert candidate(given, {"class_weight_1": 1e-5, "class_weight_2": 2}).class_weights == "0.00001,2.0"
    assert as_given(given, ["class_weight_1", "class_weight_3"]) == {"class_weight_1": 0.5}
    check_space(replace(given, space="class_weight_2=0.1..4 log"), SPEC)


def test_the_weights_of_classes_begin_somewhere():
    for text in ("", "median_frequency"):
        with pytest.raises(ValueError, match=f"class_weights is '{text}': give a number for each of the 2 classes"):
            check_space(replace(GIVEN, class_weights=text, space="class_weight_1=0.1..4"), SPEC)
    with pytest.raises(ValueError, match=r"space names class_weight_3 \(did you mean 'class_weight_"):
        check_space(replace(GIVEN, class_weights="1,1", space="class_weight_3=0.1..4"), SPEC)


def test_the_values_of_the_configuration_itself_are_known_down_to_those_of_the_builder():
    names = dict.fromkeys(("learning_rate", "dice", "focal", "depth", "base_width"))
    assert as_given(GIVEN, names) == {"learning_rate": 5e-3, "dice": 0.5, "depth": 2, "base_width": 8}
    assert as_given(replace(GIVEN, data="folder"), names)["learning_rate"] == 2e-3
    assert as_given(replace(GIVEN, learning_rate=0.01), names)["learning_rate"] == 0.01


def test_the_configuration_is_a_trial_of_a_space_that_holds_it():
    assert given_trial(SearchConfig()).keys() == SearchConfig().ranges.keys()
    assert given_trial(SearchConfig(**SMALL, space="alpha=0.1..0.9, base_width=4|8")) == {"alpha": 0.5, "base_width": 8}
    assert given_trial(SearchConfig(**SMALL, space="alpha=0.6..0.9, base_width=4|8")) == {}
    assert given_trial(SearchConfig(**SMALL, space="alpha=0.1..0.9, base_width=4|6")) == {}
    assert (
        given_trial(SearchConfig(**SMALL, space="alpha=0.1..0.9, focal=0.5..2")) == {}
    )  # the loss has no such term yet


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("temprature=1..4", r"space names temprature \(did you mean 'temperature'.*; there are learning_rate"),
        ("alpha=0.5..1.5", "lets alpha be 1.5, which no trial can use: alpha is 1.5; give a share"),
        ("dropout=0..1", "dropout is 1.0; give a share"),
        ("base_width=4..8", "base_width of model 'small_unet' is 4.0; give a whole number"),
        ("depth=2|6", "both sides must divide by 64"),
        ("schedule=cosine|flat", "schedule is 'flat'"),
        ("dice=0..1", "lets dice be 0.0, which no trial can use"),
    ],
)
def test_a_space_that_no_trial_could_use_is_refused(space, message):
    with pytest.raises(ValueError, match=message):
        check_space(SearchConfig(**SMALL, space=space), SPEC)


def test_the_space_that_comes_without_flags_can_be_used():
    check_space(SearchConfig(), SPEC)
