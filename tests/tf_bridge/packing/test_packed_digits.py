import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_bridge.packing.packed_digits import PackedDigits


@given(st.integers(2, 256), st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_digits_come_back(radix: int, count: int, seed: int) -> None:
    digits = np.random.default_rng(seed).integers(0, radix, count)
    np.testing.assert_array_equal(PackedDigits.pack(digits, radix).unpack(), digits)


@given(st.integers(2, 256))
def test_the_largest_digit_everywhere_overflows_no_word(radix: int) -> None:
    digits = np.full(100, radix - 1)
    np.testing.assert_array_equal(PackedDigits.pack(digits, radix).unpack(), digits)


@pytest.mark.parametrize(
    ("radix", "bits"), [(2, 1), (3, 1.6), (4, 2), (5, 32 / 13), (6, 8 / 3), (7, 32 / 11), (8, 3.2), (16, 4), (256, 8)]
)
def test_a_digit_takes_these_bits(radix: int, bits: float) -> None:
    count = 8 * 3 * 5 * 11 * 13
    packed = PackedDigits.pack(np.arange(count) % radix, radix)
    assert packed.words.nbytes * 8 / count == pytest.approx(bits, rel=0.001)


def test_a_radix_or_digit_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="radix is 257; expected 2 to 256"):
        PackedDigits.pack(np.zeros(3, int), 257)
    with pytest.raises(ValueError, match="digits run from 0 to 6; expected 0 to 5"):
        PackedDigits.pack(np.arange(7), 6)
    with pytest.raises(ValueError, match="digits run from -1 to 0"):
        PackedDigits.pack(np.array([-1, 0]), 6)
