from __future__ import annotations

import pytest

from torchseg.harness.explain import explain


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"arithmetic": "float32 from float16"}, "half-precision weights are expanded"),
        ({"arithmetic": "int8 (dynamic)", "runtime": "onnxruntime"}, "no fast kernel"),
        (
            {"leftovers": "CUMSUM FLOOR CUMSUM", "fast_path": "XNNPACK"},
            "3 operators fell out of XNNPACK (CUMSUM",
        ),
        ({"sparsity": "0.8"}, "80 % of its weights are zero"),
        ({"noisy": "true"}, "trust the minimum"),
    ],
)
def test_each_known_cause_has_its_sentence(row, words):
    (sentence,) = explain(row)
    assert words in sentence


def test_an_ordinary_file_needs_no_explanation():
    assert explain({"arithmetic": "int8", "runtime": "litert", "sparsity": "0.01", "noisy": "false"}) == []


def test_dynamic_int8_is_fine_where_it_has_a_fast_kernel():
    assert explain({"arithmetic": "int8 (dynamic)", "runtime": "litert"}) == []


def test_a_file_that_failed_has_said_why_already():
    assert explain({"error": "is damaged", "noisy": "true"}) == []
