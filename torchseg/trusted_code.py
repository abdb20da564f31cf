"""Which code of other people may run in this process: what the user named by file or by SHA-256, and nothing else.

A checkpoint may hold the source of its network. Whoever passes a checkpoint on could change that source, and could
change every file beside it as well. Trust is therefore never read from a file: it comes from the command line
(`--trust_code`, `--code`), from a call of `trust`, or from the environment variable that both set, so that the
processes that a command starts inherit it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "TORCHSEG_TRUST_CODE"  # SHA-256 hashes, separated by commas
FLAG = "trust_code"
_FLAGS_NAMING_CODE = (FLAG, "code")  # both name the file that the user wants to run


def sha256_of_bytes(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    import hashlib  # it loads OpenSSL, which the help of a command need not wait for

    return hashlib.sha256(content).hexdigest()


def is_trusted(sha256: str) -> bool:
    """Whether the user said that code with this hash may run."""
    return bool(sha256) and sha256 in os.environ.get(VARIABLE, "").split(",")


def check_trusted(sha256: str, *, what: str) -> None:
    """Refuses code that the user has not named.

    Args:
        sha256: of the code.
        what: the code and where it is, for the message.

    Raises:
        ValueError: with the hash to confirm.
    """
    if not is_trusted(sha256):
        raise ValueError(
            f"{what} is code, which runs with your rights; nothing of it has run. Read it, and if you trust it, add "
            f"--trust_code {sha256} to the command, or call torchseg.trust_code with that hash in Python"
        )


def trust(code: str | Path) -> str:
    """Lets code run in this process and in those that it starts.

    Args:
        code: SHA-256 of the code (64 hexadecimal digits), or the file itself.

    Returns:
        The SHA-256.

    Raises:
        ValueError: if it is neither a hash nor a file.
    """
    sha256 = _hash_of(str(code))
    known = os.environ.get(VARIABLE, "").split(",")
    os.environ[VARIABLE] = ",".join(filter(None, [*known, *({sha256} - set(known))]))
    return sha256


@contextmanager
def trusting(argv: Sequence[str]) -> Iterator[None]:
    """Trusts what these arguments of a command name, until the command ends.

    Raises:
        ValueError: if a value of `--trust_code` is neither a hash nor a file.
    """
    before = os.environ.get(VARIABLE)
    try:
        for flag, value in _given(argv):
            if flag == FLAG or Path(value).is_file():  # the command itself complains about a missing --code
                trust(value)
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def without_trust(argv: Iterable[str]) -> list[str]:
    """The arguments without `--trust_code` and its value; what a parser still finds of it came from a file of flags."""
    kept: list[str] = []
    skip = False
    for item in argv:
        flag = _flag(item)
        if not skip and flag != FLAG:
            kept.append(item)
        skip = not skip and flag == FLAG and "=" not in item
    return kept


def _given(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    for position, item in enumerate(argv):
        if (flag := _flag(item)) in _FLAGS_NAMING_CODE:
            _, joined, value = item.partition("=")
            rest = argv[position + 1 : position + 2]
            value = value if joined else "".join(rest)
            for each in value.split(",") if flag == FLAG else [value]:
                yield flag, each.strip()


def _flag(item: str) -> str:
    """Name of the flag, with dashes as underscores; empty if the argument is no flag."""
    return item.partition("=")[0][2:].replace("-", "_") if item.startswith("--") else ""


def _hash_of(code: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{64}", code):
        return code.lower()
    if Path(code).is_file():
        return sha256_of_bytes(Path(code).read_bytes())
    raise ValueError(
        f"--trust_code is '{code}', which is neither a file nor a SHA-256; give the file, or the 64 digits that the "
        "refusal named"
    )
