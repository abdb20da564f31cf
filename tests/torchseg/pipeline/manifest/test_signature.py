from __future__ import annotations

import json
import sys

import pytest

from torchseg.config import VerifyConfig
from torchseg.pipeline.commands.verify import verify
from torchseg.pipeline.manifest.manifest import MANIFEST
from torchseg.pipeline.manifest.signature import SIGNATURE, private_key, public_key, sign_run, signature_problem
from torchseg.pipeline.run.folder import RunFolder
from torchseg.record import RecordError, with_checksum


@pytest.fixture
def run(tmp_path):
    """A run without model files and images."""
    folder = RunFolder(tmp_path / "run")
    with folder.held():
        (folder.path / "config.yaml").write_text("seed: 0\n")
        (folder.path / "scores.csv").write_text("miou\n")
    return folder.path


@pytest.fixture
def make_keys(tmp_path):
    """Writes a pair of keys under a name, and returns the paths of the private and the public one."""
    pytest.importorskip("cryptography", reason="signatures need the extra sign")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    def make(name, kind=Ed25519PrivateKey.generate, password=None):
        key = kind()
        how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem = serialization.Encoding.PEM
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, how))
        public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
        return private, public

    return make


@pytest.fixture
def keys(make_keys):
    return make_keys("owner")


def test_a_signed_run_holds_for_the_owners_key_and_for_no_other(run, keys, make_keys):
    sign_run(run, private_key(keys[0]))
    assert signature_problem(run, public_key(keys[1])) == ""
    other = public_key(make_keys("other")[1])
    assert signature_problem(run, other) == "the signature is not by this key, or not of this run"


def test_a_run_that_was_not_signed_says_so(run, keys):
    assert signature_problem(run, public_key(keys[1])) == "the run is not signed; sign it with verify --sign KEY"


def test_a_manifest_that_changed_is_noticed(run, keys):
    sign_run(run, private_key(keys[0]))
    with RunFolder(run).held():
        (run / "scores.csv").write_text("better\n")
    assert "manifest.json has changed since it was signed" in signature_problem(run, public_key(keys[1]))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"signature": "00" * 64}, "not by this key"),
        ({"signature": "no hex"}, "not by this key"),
        ({"chain": "0" * 64}, "not by this key"),
        ({"algorithm": "none"}, "is of version 1 and none"),
        ({"version": 2}, "is of version 2 and ed25519"),
        ({"signature": 5}, "signature"),
    ],
)
def test_a_forged_signature_is_refused(change, problem, run, keys):
    sign_run(run, private_key(keys[0]))
    values = json.loads((run / SIGNATURE).read_text())
    del values["checksum"]
    (run / SIGNATURE).write_text(json.dumps(with_checksum(values | change)))
    assert problem in signature_problem(run, public_key(keys[1]))


def test_a_damaged_record_is_one_sentence(run, keys):
    sign_run(run, private_key(keys[0]))
    (run / SIGNATURE).write_text("{")
    assert "sign the run again" in signature_problem(run, public_key(keys[1]))
    (run / MANIFEST).unlink()
    assert "manifest.json is missing" in signature_problem(run, public_key(keys[1]))
    with pytest.raises(RecordError, match=r"manifest.json is missing"):
        sign_run(run, private_key(keys[0]))


def test_what_is_no_key_is_refused(keys, make_keys, tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey

    private, public = keys
    (tmp_path / "words").write_text("my key")
    with pytest.raises(ValueError, match=r"words is not a private key in PEM; make one with: openssl genpkey"):
        private_key(tmp_path / "words")
    with pytest.raises(ValueError, match="words is not a public key in PEM"):
        public_key(tmp_path / "words")
    with pytest.raises(ValueError, match=r"owner.pem is a private key; give the public one: make it with: openssl"):
        public_key(private)
    with pytest.raises(ValueError, match=r"owner.pub is not a private key in PEM"):
        private_key(public)
    with pytest.raises(ValueError, match=r"there is no key .*nowhere"):
        private_key(tmp_path / "nowhere")
    locked, _ = make_keys("locked", password=b"secret")
    with pytest.raises(ValueError, match=r"locked.pem is protected by a passphrase; give a key without one"):
        private_key(locked)
    for path, read in zip(make_keys("long", Ed448PrivateKey.generate), (private_key, public_key), strict=True):
        with pytest.raises(ValueError, match="is not an ed25519 key"):
            read(path)


def test_verify_signs_what_holds_and_refuses_what_does_not(run, keys, capsys):
    private, public = keys
    assert verify(VerifyConfig(files=[run], verify_key=public)) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("the run is not signed; sign it with verify --sign KEY")
    assert verify(VerifyConfig(files=[run], sign=private)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{run / SIGNATURE}: written"
    assert verify(VerifyConfig(files=[run], verify_key=public)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{run / SIGNATURE}: signed by the owner of this key"
    (run / "scores.csv").write_text("better\n")
    before = (run / SIGNATURE).read_bytes()
    assert verify(VerifyConfig(files=[run], sign=private)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"{run}: not signed, because not everything in it holds"
    assert (run / SIGNATURE).read_bytes() == before
    assert verify(VerifyConfig(files=[run], verify_key=public)) == 1


def test_a_file_is_not_signed(run, keys):
    with pytest.raises(ValueError, match=r"scores.csv is no folder of a run, and only runs are signed"):
        verify(VerifyConfig(files=[run / "scores.csv"], sign=keys[0]))


def test_without_the_package_the_extra_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    (tmp_path / "key.pem").write_text("")
    with pytest.raises(ImportError, match=r"signatures need cryptography: pip install 'torchseg-compress\[sign\]'"):
        verify(VerifyConfig(files=[run], sign=tmp_path / "key.pem"))
