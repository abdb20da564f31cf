from hypothesis import given
from hypothesis import strategies as st

from tf_bridge.float_weights import SHARES, lightest


@given(st.dictionaries(st.integers(), st.integers(1, 1000), min_size=1), st.floats(0, 1))
def test_the_lightest_fit_into_the_share_and_none_left_is_lighter(sizes: dict[int, int], share: float) -> None:
    kept = lightest(sizes, share)
    assert sum(sizes[name] for name in kept) <= share * sum(sizes.values())
    left = [size for name, size in sizes.items() if name not in kept]
    assert all(sizes[name] <= min(left) for name in kept if left)


def test_shares_grow() -> None:
    assert sorted(SHARES) == list(SHARES)
    assert lightest({"a": 1, "b": 98, "c": 1}, SHARES[0]) == {"a", "c"}
