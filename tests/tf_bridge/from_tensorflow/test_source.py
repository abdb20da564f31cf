"""What can be told without TensorFlow."""

import zipfile

import pytest

from tf_bridge.from_tensorflow.source import check_input, source_kind
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=8, width=12, classes=("a", "b"))


def test_kinds_are_told_by_name_and_header(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n and more")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    assert [source_kind(tmp_path / name) for name in ("net.keras", "net.h5", "saved")] == [
        "keras",
        "keras",
        "saved_model",
    ]


@pytest.mark.parametrize("content", [b"", b"some text", b"\x89HDF", b"PK\x03\x04 the beginning of a zip"])
@pytest.mark.parametrize("suffix", ["keras", "h5", "tflite"])
def test_what_is_no_model_is_refused(content, suffix, tmp_path):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / f"net.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"is not a complete \S+ file \({len(content)} bytes\)"):
        source_kind(path)


def test_other_files_and_folders_are_refused(tmp_path):
    (tmp_path / "net.pb").write_bytes(b"graph")
    with pytest.raises(ValueError, match=r"ends in none of \.keras, \.h5, \.hdf5, \.tflite"):
        source_kind(tmp_path / "net.pb")
    with pytest.raises(ValueError, match=r"it has no saved_model\.pb"):
        source_kind(tmp_path)
    with pytest.raises(ValueError, match="there is no file"):
        source_kind(tmp_path / "gone.keras")


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((None, 8, 12, 3), "NHWC"),
        ((1, None, None, None), "NHWC"),
        ((1, 3, 8, 12), "NCHW"),
        ((8, 12, 3), "NHWC"),
        ((3, None, None), "NCHW"),
    ],
)
def test_the_layout_follows_from_the_shape(shape, layout, tmp_path):
    assert check_input(tmp_path, shape, SPEC) == layout


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 8, 12, 4), "takes images of 4 channels"),
        ((8, 8, 12, 3), "takes 8 images at a time; save it with an open batch"),
        ((None, 12, 8, 3), "give --image_size 12,8"),
        ((None, 288), r"takes an input of shape \[None, 288\]"),
    ],
)
def test_other_inputs_are_refused(shape, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        check_input(tmp_path, shape, SPEC)
