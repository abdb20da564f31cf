"""Other number formats at the two ends of an int8 TFLite file."""

from __future__ import annotations

import enum
from pathlib import Path

from tf_bridge.tflite.flatbuffer import TfliteEdit
from torchseg.partial_file import partial_file


class TfliteIo(enum.StrEnum):
    """What a file takes and gives in place of int8 codes."""

    UINT8 = "uint8"  # codes from 0 to 255; the zero points move by 128
    FLOAT = "float"  # values; the file rounds them itself


def change_io(source: Path, target: Path, io: TfliteIo) -> None:
    """Writes a copy of an int8 file with other ends; what it computes stays the same to the bit.

    Raises:
        ValueError: if the source does not take and give int8.
    """
    edit = TfliteEdit(source.read_bytes())
    image, logits = edit.input, edit.output
    if not (edit.is_int8(image) and edit.is_int8(logits)):
        raise ValueError(f"{source} does not take and give int8; give an int8 file that the export made without --io")
    edit.tensor(image).name, edit.tensor(logits).name = b"image/codes", b"logits/codes"
    taken, given = (_end(edit, place, io) for place in (image, logits))
    edit.put_in_front("QUANTIZE", [taken], image)
    edit.put_behind("QUANTIZE" if io is TfliteIo.UINT8 else "DEQUANTIZE", [logits], given)
    edit.take(taken, "image")
    edit.give(given, "logits")
    with partial_file(target) as partial:
        partial.write_bytes(edit.content({}))


def _end(edit: TfliteEdit, place: int, io: TfliteIo) -> int:
    tensor = edit.tensor(place)
    if io is TfliteIo.FLOAT:
        return edit.add_tensor("end", tensor.shape, "FLOAT32")
    scale, zero_point = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    return edit.add_tensor("end", tensor.shape, "UINT8", codes=([scale], [zero_point + 128]))
