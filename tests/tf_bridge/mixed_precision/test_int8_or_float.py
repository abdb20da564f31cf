from hypothesis import given
from hypothesis import strategies as st

from tf_bridge.mixed_precision.int8_or_float import AccuracyDrop, Measure, fewest_float_layers


def costing(costs: dict[str, float]) -> Measure:
    """Every layer in int8 costs its own share of the budget; costs add up."""

    def measure(in_float: frozenset[str]) -> AccuracyDrop:
        share = sum(cost for layer, cost in costs.items() if layer not in in_float)
        return AccuracyDrop(budget_share=share, logit_error=share)

    return measure


def test_no_layer_stays_in_float_where_the_budget_holds() -> None:
    assert fewest_float_layers(["a", "b"], costing({"a": 0.5, "b": 0.5})) == []


def test_only_the_layers_that_cost_too_much_stay_in_float_in_the_order_of_the_network() -> None:
    costs = {"a": 0.1, "b": 5.0, "c": 0.1, "d": 9.0, "e": 0.1}
    assert fewest_float_layers(list(costs), costing(costs)) == ["b", "d"]


def test_two_layers_that_spoil_one_tensor_are_both_found() -> None:
    def measure(in_float: frozenset[str]) -> AccuracyDrop:
        return AccuracyDrop(budget_share=0.5 if {"a", "b"} <= in_float else 3.0, logit_error=0.0)

    assert fewest_float_layers(["c", "a", "d", "b"], measure) == ["a", "b"]


def test_the_logits_decide_between_layers_that_cost_the_same() -> None:
    def measure(in_float: frozenset[str]) -> AccuracyDrop:
        share = 1.5 if not in_float else 0.0 if in_float == {"b"} else 1.01 if in_float == {"a"} else 0.01
        return AccuracyDrop(budget_share=share, logit_error=2.0 if "b" not in in_float else 1.0)

    assert fewest_float_layers(["a", "b", "c"], measure) == ["b"]


def test_a_file_without_any_int8_is_no_answer() -> None:
    assert fewest_float_layers(["a", "b"], costing({"a": 2.0, "b": 2.0})) is None
    assert fewest_float_layers(["a"], costing({"a": 2.0})) is None


@given(st.lists(st.floats(0, 3), min_size=2, max_size=12))
def test_the_choice_holds_the_budget_and_no_single_layer_of_it_is_needless(shares: list[float]) -> None:
    costs = {f"layer{index}": share for index, share in enumerate(shares)}
    measure = costing(costs)
    chosen = fewest_float_layers(list(costs), measure)
    if chosen is None:
        assert min(shares) > 1
        return
    assert measure(frozenset(chosen)).budget_share <= 1
    for layer in chosen:
        assert measure(frozenset(chosen) - {layer}).budget_share > 1
