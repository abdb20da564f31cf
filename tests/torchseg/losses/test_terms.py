from __future__ import annotations

import pytest

from torchseg.losses import DEFAULT_TERMS, parse_terms


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
    ],
)
def test_another_form_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_terms(text)
