"""Reads the records that this project writes, JSON and YAML, against the dataclasses that describe them.

Whatever is wrong with one is a `RecordError`: one message with the file, the field, what came, what was expected and
what to do.
"""

from torchseg.record.fields import build
from torchseg.record.json_text import as_json, plain_json
from torchseg.record.text import RecordError, json_in, read_json, read_yaml, text_of_file, with_checksum

__all__ = [
    "RecordError",
    "as_json",
    "build",
    "json_in",
    "plain_json",
    "read_json",
    "read_yaml",
    "text_of_file",
    "with_checksum",
]
