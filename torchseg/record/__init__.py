"""Reads the records that this project writes, JSON and YAML, against the dataclasses that describe them.

Whatever is wrong with one is a `RecordError`: one message with the file, the field, what came, what was expected and
what to do.
"""

from torchseg.record.fields import build
from torchseg.record.text import RecordError, read_json, read_yaml, text_of_file, with_checksum

__all__ = ["RecordError", "build", "read_json", "read_yaml", "text_of_file", "with_checksum"]
