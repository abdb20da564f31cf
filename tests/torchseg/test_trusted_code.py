from __future__ import annotations

import os
from pathlib import Path

import pytest

from torchseg.trusted_code import VARIABLE, check_trusted, is_trusted, sha256_of_bytes, trust, trusting, without_trust

CODE = b"print('hello')\n"
HASH = sha256_of_bytes(CODE)


@pytest.fixture(autouse=True)
def _nothing_trusted(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    Path("net.py").write_bytes(CODE)


def test_nothing_is_trusted_unless_it_is_named():
    assert not is_trusted(HASH)
    assert not is_trusted("")
    with pytest.raises(ValueError, match=rf"net.py is code.*nothing of it has run.*--trust_code {HASH}"):
        check_trusted(HASH, what="net.py")


@pytest.mark.parametrize("named", [HASH, HASH.upper(), "net.py", Path("net.py")])
def test_code_is_named_by_its_hash_or_its_file(named):
    assert trust(named) == HASH
    assert is_trusted(HASH)
    check_trusted(HASH, what="net.py")


def test_trust_in_a_file_ends_when_the_file_changes():
    trust(Path("net.py"))
    assert not is_trusted(sha256_of_bytes(CODE + b"\n"))


def test_trust_twice_is_trust_once():
    trust(HASH)
    trust("net.py")
    assert os.environ[VARIABLE] == HASH


def test_what_is_neither_a_hash_nor_a_file_is_refused():
    with pytest.raises(ValueError, match=r"--trust_code is 'nte.py', which is neither a file nor a SHA-256"):
        trust("nte.py")


@pytest.mark.parametrize(
    "argv",
    [
        ["a.pth", "--code", "net.py"],
        ["a.pth", "--code=net.py"],
        ["a", "--trust_code", HASH],
        ["a", f"--trust-code={HASH}"],
        ["a", "--trust_code", f"{'0' * 64}, net.py"],
    ],
)
def test_a_command_trusts_what_its_arguments_name_until_it_ends(argv):
    with trusting(argv):
        assert is_trusted(HASH)
    assert not is_trusted(HASH)


@pytest.mark.parametrize("argv", [["a.pth"], ["--model", "net.py"], [HASH], ["--code"], ["--trust_code_not", HASH]])
def test_other_arguments_trust_nothing(argv):
    with trusting(argv):
        assert not is_trusted(HASH)


def test_the_parser_does_not_see_the_flag():
    argv = ["a", "--trust_code", HASH, "--out", "b", f"--trust-code={HASH}", "--fresh"]
    assert without_trust(argv) == ["a", "--out", "b", "--fresh"]
