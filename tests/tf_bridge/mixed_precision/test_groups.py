from tf_bridge.mixed_precision.groups import Operation, layer_groups


def operation(name: str, inputs: list[str], *, weighted: bool = False) -> Operation:
    return Operation(name=name, layer=name.split("/")[0], inputs=inputs, outputs=[name], weighted=weighted)


def test_what_follows_a_layer_belongs_to_it_up_to_the_next_one() -> None:
    groups = layer_groups(
        [
            operation("stem/conv", ["image"], weighted=True),
            operation("act/relu", ["stem/conv"]),
            operation("head/conv", ["act/relu"], weighted=True),
        ]
    )
    assert groups == {"stem": ["stem/conv", "act/relu"], "head": ["head/conv"]}


def test_a_concatenation_belongs_to_the_later_of_its_sources() -> None:
    groups = layer_groups(
        [
            operation("skip/conv", ["image"], weighted=True),
            operation("deep/conv", ["skip/conv"], weighted=True),
            operation("join/cat", ["deep/conv", "skip/conv"]),
        ]
    )
    assert groups["deep"] == ["deep/conv", "join/cat"]


def test_what_comes_before_all_weights_is_a_group_of_its_own() -> None:
    groups = layer_groups([operation("scale/mul", ["image"]), operation("stem/conv", ["scale/mul"], weighted=True)])
    assert groups == {"scale": ["scale/mul"], "stem": ["stem/conv"]}


def test_a_layer_that_is_used_twice_is_one_group() -> None:
    groups = layer_groups([operation(f"stem/{use}", ["image"], weighted=True) for use in ("conv", "conv_2")])
    assert groups == {"stem": ["stem/conv", "stem/conv_2"]}
