"""The code and the docs use the words of docs/reference/glossary.md and none of those that they replaced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RETIRED = {
    r"[Ll]essons?": "distillation configuration",
    "Course": "training plan",
    "first_view": "seed_offset",
    r"[Oo]pinions?": "logits, prediction",
    "share of belief": "probability",
    "task\\.told": "on_epoch_end",
    "Halves": "DataParallel, micro-batches",
    "twins?": "baseline, replica",
    "School": "quantization-aware training",
    "[Jj]udgements?": "batch counts",
    "[Tt]all(y|ies)": "metric accumulator",
    "bak(e|ed|ing)": "end-to-end model",
    "blame[ds]?": "first divergent layer",
    "shr[iu]nk": "channel pruning",
    "light layers": "smallest layers",
    "picture_spec": "end_to_end_spec",
}
# Lines about old names: flags that still work, and names in run folders of version 0.1.
ABOUT_OLD_NAMES = re.compile(r'"was": |version 0\.1|name of \w+ in those runs|"baked"')
# What these words mean elsewhere.
ELSEWHERE = {("torchseg/harness/measure/size.py", "shrink")}
FILES = sorted(
    path
    for pattern in (
        "torchseg/**/*.py",
        "tf_bridge/**/*.py",
        "scripts/*.py",
        "benchmarks/**/*.py",
        "docs/**/*.md",
        "*.md",
    )
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("word", RETIRED)
def test_a_retired_word_is_used_nowhere(word):
    pattern = re.compile(rf"(?<![-\w]){word}(?![-\w])")
    found = []
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            match = pattern.search(line)
            if match and not ABOUT_OLD_NAMES.search(line) and (name, match.group()) not in ELSEWHERE:
                found.append(f"{name}:{number}: {line.strip()}")
    assert found == [], f"use instead: {RETIRED[word]}"


def test_flags_do_not_bring_a_retired_word_back():
    from torchseg.config import CompressConfig, DistillConfig, ExportConfig, ScoreConfig, SearchConfig

    names = {
        name
        for config in (CompressConfig, DistillConfig, ExportConfig, ScoreConfig, SearchConfig)
        for name in config.__dataclass_fields__
    }
    assert not names & {"twin", "bake", "shrink", "shrink_epochs", "prune_light"}
