from __future__ import annotations

import pytest

from torchseg.compress import ClusterConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusters": 0}, "clusters is 0; give between 1 and 256"),
        ({"clusters": 257}, "clusters is 257"),
        ({"layers": {"head": 0}}, "clusters is 0"),
        ({"per": "row"}, "per is 'row'; choose from tensor, channel"),
        ({"start": "best"}, "start is 'best'"),
        ({"gradient": "max"}, "gradient is 'max'"),
        ({"reassign_every": -1}, "reassign_every is -1"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClusterConfig(**settings)
