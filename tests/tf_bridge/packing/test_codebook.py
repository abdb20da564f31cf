import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from numpy.typing import NDArray

from tf_bridge.packing.codebook import PackedDigits, PackedWeight, _candidates, without_negative_zeros

seeds = st.integers(0, 2**32 - 1)
types = st.sampled_from([np.float32, np.float16, np.int8, np.uint8])


def compressed(shape, *, clusters: int, sparsity: float, axis: int | None = None, dtype=np.float32, seed=0) -> NDArray:
    """Random weights with few values, one set of them per slice along `axis`, and about this share of zeros."""
    rng = np.random.default_rng(seed)
    slices = 1 if axis is None else shape[axis]
    books = (
        rng.integers(1, 127, (slices, clusters))
        if not np.issubdtype(dtype, np.floating)
        else rng.standard_normal((slices, clusters))
    )
    codes = rng.integers(0, clusters, (slices, int(np.prod(shape)) // slices))
    rows = np.take_along_axis(books, codes, axis=1) * (rng.random(codes.shape) >= sparsity)  # leaves negative zeros
    rest = [side for index, side in enumerate(shape) if index != (axis or 0)]
    return np.moveaxis(rows.reshape(shape[axis or 0], *rest), 0, axis or 0).astype(dtype)


@given(array_shapes(max_dims=5, max_side=6), st.integers(1, 300), st.floats(0, 1), types, seeds)
def test_every_storage_of_a_tensor_gives_its_bits_back(shape, clusters, sparsity, dtype, seed) -> None:
    weight = compressed(shape, clusters=clusters, sparsity=sparsity, dtype=dtype, seed=seed)
    for packed in _candidates(weight):
        unpacked = packed.unpack()
        assert unpacked.dtype == weight.dtype
        assert unpacked.shape == weight.shape
        assert unpacked.tobytes() == without_negative_zeros(weight).tobytes()


@pytest.mark.parametrize(
    ("sparsity", "clusters", "axis", "stored"),
    [
        (0.6, 6, None, (True, None)),
        (0.0, 6, None, (False, None)),
        (0.6, 6, 0, (True, 0)),
        (0.6, 6, 1, (True, 1)),
        (0.0, 250, None, (False, None)),
    ],
)
def test_the_smallest_storage_is_chosen(sparsity, clusters, axis, stored) -> None:
    packed = PackedWeight.smallest(compressed((64, 48, 3, 3), clusters=clusters, sparsity=sparsity, axis=axis))
    assert packed is not None
    assert (packed.mask is not None, packed.axis) == stored


def test_60_percent_zeros_and_6_clusters_take_less_than_2_2_bits_a_weight() -> None:
    weight = compressed((128, 64, 3, 3), clusters=6, sparsity=0.6)
    packed = PackedWeight.smallest(weight)
    assert packed is not None
    assert packed.size_bytes * 8 / weight.size < 2.2


@pytest.mark.parametrize("weight", [np.zeros((64, 64), np.float32), np.full((64, 64), -2.5, np.float32)])
def test_a_layer_of_one_value_is_packed(weight: NDArray) -> None:
    packed = PackedWeight.smallest(weight)
    assert packed is not None
    np.testing.assert_array_equal(packed.unpack(), weight)
    assert packed.size_bytes < 1000


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1, 1), (0, 3), (8, 3, 1, 1)])
def test_what_is_small_already_stays_dense(shape) -> None:
    assert PackedWeight.smallest(np.ones(shape, np.float32)) is None


@pytest.mark.parametrize(
    ("dtype", "sparsity"), [(np.float32, 0.5), (np.float32, 0.8), (np.float16, 0.5), (np.float16, 0.8)]
)
def test_zeros_without_clusters_take_a_bit_and_the_other_weights_their_own_bytes(dtype, sparsity) -> None:
    rng = np.random.default_rng(0)
    weight = (rng.standard_normal((64, 48, 3, 3)) * (rng.random((64, 48, 3, 3)) >= sparsity)).astype(dtype)
    packed = PackedWeight.smallest(weight)
    assert packed is not None
    assert packed.codes is None
    kept = int(np.count_nonzero(weight)) * weight.itemsize
    assert packed.size_bytes <= weight.size / 8 + kept + 500
    assert packed.unpack().tobytes() == without_negative_zeros(weight).tobytes()


def test_weights_of_too_many_values_stay_dense() -> None:
    assert PackedWeight.smallest(np.random.default_rng(0).standard_normal((4, 2000)).astype(np.float32)) is None


def test_negative_zeros_count_as_zeros_and_tiny_values_do_not() -> None:
    tiny = np.float32(1e-45)
    weight = np.tile(np.array([-0.0, 0.0, tiny, -tiny, 1.0], np.float32), 200)
    packed = PackedWeight.smallest(weight)
    assert packed is not None
    unpacked = packed.unpack()
    np.testing.assert_array_equal(unpacked.view(np.uint32)[:5], [0, 0, 1, 0x80000001, 0x3F800000])
    assert weight.view(np.uint32)[0] == 0x80000000, "the caller's tensor changed"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"not finite; train the network again"):
        PackedWeight.smallest(np.full(100, value, np.float32))


def test_other_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="weight holds float64; expected float32, float16, int8 or uint8"):
        PackedWeight.smallest(np.zeros(100))


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


def test_channels_of_the_same_few_integers_share_codebooks() -> None:
    weight = compressed((256, 32, 3, 3), clusters=11, sparsity=0.6, dtype=np.int8)
    weight[::3] //= 2  # another set of values
    packed = PackedWeight.smallest(np.ascontiguousarray(weight))
    assert packed is not None
    assert packed.books is not None
    assert packed.slices == 256
    assert len(packed.codebook) == 2
    assert packed.size_bytes * 8 / weight.size < 2.75
    assert packed.unpack().tobytes() == weight.tobytes()
