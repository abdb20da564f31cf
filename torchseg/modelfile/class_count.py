"""How many classes a file tells apart that gives classes and no logits."""

from __future__ import annotations

import json
from pathlib import Path

from torchseg.modelfile.file_facts import file_facts

CLASSES = "torchseg.classes"  # metadata entry that names them


def class_count(path: Path) -> int | None:
    """Number of classes that the file's metadata names; None if it says nothing of them."""
    facts = file_facts(path)
    return count_names(facts.texts.get(CLASSES)) if facts else None


def count_names(text: str | None) -> int | None:
    """The same from the entry itself, for a runtime that reads metadata anyway."""
    return len(json.loads(text)) if text else None
