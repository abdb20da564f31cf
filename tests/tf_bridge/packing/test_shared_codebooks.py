from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tf_bridge.packing.shared_codebooks import shared_codebooks

slices = st.lists(st.lists(st.integers(0, 255), max_size=12, unique=True), min_size=1, max_size=40)


@given(slices)
def test_each_slice_finds_its_values_and_codes_get_no_longer(held) -> None:
    own = [np.sort(np.array(values, np.uint8)) for values in held]
    codebooks, books = shared_codebooks(own)
    most = max(map(len, own))
    assert all(len(values) <= most for values in codebooks)
    used = range(len(own)) if books is None else books
    assert all(np.isin(values, codebooks[book]).all() for values, book in zip(own, used, strict=True))
    assert all((np.diff(values.astype(int)) > 0).all() for values in codebooks)
    if books is not None:
        assert len(codebooks) * most + len(own) < len(own) * most


def test_slices_that_lack_some_of_the_same_values_share_a_codebook() -> None:
    whole = np.array([3, 7, 90, 200], np.uint8)
    codebooks, books = shared_codebooks([whole[:2], whole, whole[2:], np.array([5], np.uint8), whole])
    assert [each.tolist() for each in codebooks] == [[3, 7, 90, 200], [5]]
    assert books is not None
    assert books.tolist() == [0, 0, 0, 1, 0]


def test_slices_of_their_own_values_keep_them_in_order() -> None:
    own = [np.array([row, row + 100], np.uint8) for row in range(0, 60, 2)]
    codebooks, books = shared_codebooks(own)
    assert books is None
    assert all(np.array_equal(*pair) for pair in zip(codebooks, own, strict=True))


def test_no_more_codebooks_than_a_byte_can_name() -> None:
    pairs = [np.array(pair, np.uint8) for pair in combinations(range(24), 2)]
    own = [np.array([*pair, 255], np.uint8) for pair in pairs] * 3
    codebooks, books = shared_codebooks(own)
    assert (len(codebooks), books) == (len(own), None)
    assert len(pairs) > 256
