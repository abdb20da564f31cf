from __future__ import annotations

import pytest

from torchseg.cli.flag_names import normalised

KNOWN = {"learning_rate", "image_size", "root", "mean", "loud"}


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        (["--image-size", "96"], ["--image_size", "96"]),
        (["--img_size=96"], ["--image_size=96"]),
        (["--img-size", "96"], ["--image_size", "96"]),
        (["--lr", "0.1", "--root_path", "some--where"], ["--learning_rate", "0.1", "--root", "some--where"]),
        (["--mean", "-1,0,0"], ["--mean=-1,0,0"]),
        (["a-file", "--loud", "-h"], ["a-file", "--loud", "-h"]),
    ],
)
def test_usual_spellings_are_understood(written, spelled):
    assert normalised(written, KNOWN) == spelled


def test_a_wrong_flag_is_answered_with_the_near_ones():
    with pytest.raises(ValueError, match=r"there is no flag --learning-rat \(did you mean 'learning_rate'\?\)"):
        normalised(["--learning-rat", "1"], KNOWN)
    with pytest.raises(ValueError, match="there is no flag --batch; --help lists all"):
        normalised(["--batch", "1"], KNOWN)  # an alias of a flag that this command does not have
