from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.datasets.folder import folder


def _masks(root, save, count=30):
    """Images, and masks that `save` writes from the classes 0 to 2 and the mask's number."""
    rng = np.random.default_rng(0)
    for place in ("images", "masks"):
        (root / place).mkdir(exist_ok=True)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(root / "images" / f"p{number:02d}.png")
        classes = np.kron(rng.integers(0, 3, (3, 4)), np.ones((4, 4))).astype(np.uint8)
        classes[0, :3] = 0, 1, 2
        save(classes, number).save(root / "masks" / f"p{number:02d}.png")


def _indexed(values, palette):
    image = Image.fromarray(values.astype(np.uint8), "P")
    image.putpalette([channel for colour in palette for channel in colour])
    return image


PALETTE = [(0, 0, 0), (192, 128, 128), (0, 64, 128)]
COLOURS = "sky 000000\nperson C08080\ncar 004080\n"


def _own_palette(classes, number):
    order = np.roll(np.arange(3), number)
    return _indexed(np.argsort(order)[classes], [PALETTE[each] for each in order])


def _first_counts(root):
    sample = folder(root).train[0]
    return [int((sample.mask == value).sum()) for value in range(3)]


def test_indexed_masks_are_read_through_their_palettes_where_colours_are_named(tmp_path):
    _masks(tmp_path, lambda classes, _: Image.fromarray(classes))
    expected = _first_counts(tmp_path)
    _masks(tmp_path, _own_palette)
    (tmp_path / "classes.txt").write_text(COLOURS)
    assert _first_counts(tmp_path) == expected


def test_masks_with_palettes_of_their_own_are_refused_where_no_colour_is_named(tmp_path):
    _masks(tmp_path, _own_palette)
    with pytest.raises(
        ValueError, match=r"value 0 is the colour 000000 in .*p00\.png and 004080 in .*p01\.png; name the"
    ):
        folder(tmp_path)


def test_palettes_that_only_differ_in_length_are_one_palette(tmp_path):
    _masks(tmp_path, lambda classes, number: _indexed(classes, [*PALETTE, (9, 9, 9)][: 3 + number % 2]))
    assert folder(tmp_path).classes == ("class_0", "class_1", "class_2")


def test_indexed_masks_with_shades_of_their_own_are_read_by_shade(tmp_path):
    shades, expected = [(0, 0, 0), (255, 255, 255)], []

    def save(classes, number):
        expected.append(classes > 0)
        return _indexed(expected[-1] ^ (number % 2), shades[::-1] if number % 2 else shades)

    _masks(tmp_path, save)
    data = folder(tmp_path)
    assert all(np.array_equal(sample.mask, expected[int(sample.name[1:])]) for sample in data.train)
    assert "255 is read as 1" in data.notes[0]


@pytest.mark.parametrize(
    ("save", "text"),
    [
        (lambda binary: Image.fromarray(binary * 255), None),
        (lambda binary: Image.fromarray(binary * 255), "sky\ncar\n"),
        (lambda binary: Image.fromarray(binary * 255).convert("RGB"), "sky\ncar\n"),
        (lambda binary: Image.fromarray(binary * 255), "sky 000000\ncar FFFFFF\n"),
        (lambda binary: Image.fromarray(binary * 255).convert("RGB"), "sky 000000\ncar FFFFFF\n"),
        (lambda binary: Image.fromarray(binary * 255).convert("1"), "sky 000000\ncar FFFFFF\n"),
        (lambda binary: Image.fromarray(binary * 255).convert("1"), None),
        (lambda binary: Image.fromarray(binary * 255).convert("LA"), "sky\ncar\n"),
        (lambda binary: Image.fromarray(binary), "sky 000000\ncar FFFFFF\n"),
        (lambda binary: Image.fromarray(np.dstack([binary * 0 + 255] * 3 + [binary * 255])), "sky #000\ncar #FFF\n"),
        (lambda binary: Image.fromarray(np.dstack([binary * 0] * 3 + [binary * 255])), "sky\ncar\n"),
    ],
)
def test_black_and_white_masks_are_masks_of_two_classes(tmp_path, save, text):
    expected = []
    _masks(tmp_path, lambda classes, _: expected.append((classes > 0).astype(np.uint8)) or save(expected[-1]))
    if text:
        (tmp_path / "classes.txt").write_text(text)
    data = folder(tmp_path)
    assert len(data.classes) == 2
    for sample in data.train:
        assert np.array_equal(sample.mask, expected[int(sample.name[1:])])


@pytest.mark.parametrize("text", [None, "sky\ncar\n", "sky 000000\ncar FFFFFF\n"])
def test_smoothed_masks_are_called_what_they_are(tmp_path, text):
    def smoothed(classes, _):
        return (
            Image.fromarray((classes > 0) * np.uint8(255)).resize((67, 50), Image.Resampling.BICUBIC).resize((16, 12))
        )

    _masks(tmp_path, smoothed)
    if text:
        (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(ValueError, match=r"mask .*\.png: it holds \d+ (values|colours), \d+ of them along edges alone"):
        folder(tmp_path).train[0]


def test_coloured_masks_without_a_list_are_refused_with_their_colours(tmp_path):
    _masks(tmp_path, lambda classes, _: Image.fromarray(np.asarray(PALETTE, np.uint8)[classes]))
    with pytest.raises(ValueError, match=r"is coloured; add a classes.txt .* which are .*C08080"):
        folder(tmp_path)


@pytest.mark.parametrize("text", [None, "sky\ncar\n"])
@pytest.mark.parametrize("first", [0, 1])
def test_masks_of_0_and_255_among_masks_of_0_and_1_are_refused(tmp_path, text, first):
    _masks(tmp_path, lambda classes, number: Image.fromarray((classes > 0) * np.uint8([1, 255][(number + first) % 2])))
    if text:
        (tmp_path / "classes.txt").write_text(text)
    message = (
        r"mask .*\.png holds no value but 0 and 255, and mask .*\.png none but 0 and 1: store .* have 255 ignored by"
    )
    with pytest.raises(ValueError, match=message):
        folder(tmp_path)
    assert set(np.unique(folder(tmp_path, ignore_value=255).train[0].mask)) <= {0, 1, 255}


@pytest.mark.parametrize("text", [None, "sky\ncar\n"])
def test_masks_without_the_class_may_have_an_ignored_border(tmp_path, text):
    def save(classes, number):
        stored = (classes > 0).astype(np.uint8) * (number % 2)
        stored[-1] = 255
        return Image.fromarray(stored)

    _masks(tmp_path, save)
    if text:
        (tmp_path / "classes.txt").write_text(text)
    assert all((sample.mask[-1] == 255).all() for sample in folder(tmp_path).train)


@pytest.mark.parametrize("text", [None, "sky\nperson\ncar\n"])
def test_class_numbers_in_a_jpeg_are_refused_though_all_of_them_may_be_classes(write_pair, tmp_path, text):
    rng = np.random.default_rng(0)
    for number in range(30):
        write_pair(f"p{number}", size=(48, 48))
        mask = Image.fromarray(np.kron(rng.integers(0, 3, (6, 6)), np.ones((8, 8))).astype(np.uint8))
        mask.transform((48, 48), Image.Transform.AFFINE, (1, 0.3, -3, 0.2, 1, -4)).save(
            tmp_path / f"masks/p{number}.jpg"
        )
        (tmp_path / f"masks/p{number}.png").unlink()
    if text:
        (tmp_path / "classes.txt").write_text(text)
    message = r"mask .*\.jpg: it holds the values 0, 1, 2 and 3, and its format compresses with losses \(JPEG, WebP\)"
    with pytest.raises(ValueError, match=message):
        folder(tmp_path)


@pytest.mark.parametrize(
    ("ending", "options"), [("png", {"format": "JPEG"}), ("tif", {"compression": "jpeg"}), ("webp", {})]
)
def test_class_numbers_in_any_format_with_losses_are_refused(tmp_path, ending, options):
    _masks(tmp_path, lambda classes, _: Image.fromarray(classes))
    for path in list((tmp_path / "masks").iterdir()):
        mask = Image.open(path)
        mask.load()
        path.unlink()
        mask.save(path.with_suffix(f".{ending}"), **options)
    message = r"mask .*: it holds (\d+ values, \d+ of them along edges|the values .* its format compresses with losses)"
    with pytest.raises(ValueError, match=message):
        folder(tmp_path)


def test_a_jpeg_without_loss_is_read(write_pair, tmp_path):
    for number in range(30):
        write_pair(f"p{number}", size=(48, 48))
        mask = np.kron(np.eye(6, dtype=np.uint8)[:: 1 - 2 * (number % 2)], np.ones((8, 8), np.uint8)) * 255
        Image.fromarray(mask).save(tmp_path / f"masks/p{number}.jpg", quality=100)
        (tmp_path / f"masks/p{number}.png").unlink()
    assert "255 is read as 1" in folder(tmp_path).notes[0]
