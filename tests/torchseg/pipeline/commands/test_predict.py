from __future__ import annotations

import pytest

from torchseg.pipeline.commands.predict import _find


def test_masks_that_differ_in_capitals_alone_are_refused(save):
    pictures = [save("one/Street.png", (9, 9, 9)), save("two/street.png", (9, 9, 9))]
    with pytest.raises(ValueError, match=r"would both get the mask street\.png; give them apart"):
        _find(pictures)
