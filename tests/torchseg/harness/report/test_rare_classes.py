from __future__ import annotations

from torchseg.harness.report.rare_classes import rare_classes, rare_text


def rows(**pixels):
    return [{"class": name, "pixels": str(count)} for name, count in pixels.items()]


def test_classes_that_occur_with_few_pixels_are_found():
    assert rare_classes(rows(road=90000, ring=3, boat=0, sky=1000, wire=999)) == {"ring": 3, "wire": 999}


def test_the_row_of_the_means_is_no_class():
    assert rare_classes([{"class": "mean", "pixels": ""}]) == {}


def test_the_pixels_and_their_least_number_are_told():
    assert rare_text({"ring": 1, "wire": 999}) == ("ring 1 pixel, wire 999 pixels: fewer than 1,000 in the test images")
