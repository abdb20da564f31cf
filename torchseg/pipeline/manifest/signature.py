"""The signature of a run: ed25519 over the last value of its manifest's chain, which stands for every file."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchseg.atomic_file import partial_file
from torchseg.pipeline.manifest.manifest import MANIFEST, Manifest, read_manifest
from torchseg.record import RecordError, build, read_json, with_checksum

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE = "manifest.sig.json"
_VERSION = 1
_REMEDY = "sign the run again"
_LONGEST_KEY = 2**16  # bytes
_MAKE_PRIVATE = "make one with: openssl genpkey -algorithm ed25519 -out KEY.pem"
_MAKE_PUBLIC = "make it with: openssl pkey -in KEY.pem -pubout -out PUBLIC.pem"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What `manifest.sig.json` holds.

    Attributes:
        version: of this record.
        algorithm: ed25519.
        chain: the last value of the manifest's chain, in hex.
        signature: of that value, in hex.
    """

    version: int
    algorithm: str
    chain: str
    signature: str


def sign_run(run: Path, key: Ed25519PrivateKey) -> None:
    """Signs the manifest of a run; raises RecordError if the manifest is missing, empty or damaged."""
    chain = _last(read_manifest(run))
    signature = key.sign(_message(chain)).hex()
    record = Signature(version=_VERSION, algorithm="ed25519", chain=chain, signature=signature)
    with partial_file(run / SIGNATURE) as partial:
        partial.write_text(json.dumps(with_checksum(asdict(record)), indent=2) + "\n", encoding="utf-8")


def signature_problem(run: Path, key: Ed25519PublicKey) -> str:
    """Why the signature of a run does not hold; empty if it does."""
    from cryptography.exceptions import InvalidSignature

    path = run / SIGNATURE
    if not path.is_file():
        return "the run is not signed; sign it with verify --sign KEY"
    try:
        chain = _last(read_manifest(run))
        signed = build(Signature, read_json(path, remedy=_REMEDY), path=path, remedy=_REMEDY)
    except RecordError as error:
        return str(error)
    if (signed.version, signed.algorithm) != (_VERSION, "ed25519"):
        return f"is of version {signed.version} and {signed.algorithm}; this release reads {_VERSION} and ed25519"
    with suppress(InvalidSignature, ValueError):
        key.verify(bytes.fromhex(signed.signature), _message(signed.chain))
        return "" if signed.chain == chain else f"{MANIFEST} has changed since it was signed; {_REMEDY}"
    return "the signature is not by this key, or not of this run"


def private_key(path: Path) -> Ed25519PrivateKey:
    """Reads a private key in PEM; raises ValueError for anything else, ImportError without the package cryptography."""
    serialization, ed25519 = _library()
    text = _read(path, _MAKE_PRIVATE)
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except TypeError as error:
        raise ValueError(f"{path} is protected by a passphrase; give a key without one") from error
    except Exception as error:  # the package has errors of its own for unknown kinds of keys
        raise ValueError(f"{path} is not a private key in PEM; {_MAKE_PRIVATE}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ValueError(f"{path} is not an ed25519 key; {_MAKE_PRIVATE}")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """Reads a public key in PEM; raises ValueError for anything else, ImportError without the package cryptography."""
    serialization, ed25519 = _library()
    text = _read(path, _MAKE_PUBLIC)
    if b"PRIVATE KEY" in text:
        raise ValueError(f"{path} is a private key; give the public one: {_MAKE_PUBLIC}")
    try:
        key = serialization.load_pem_public_key(text)
    except Exception as error:  # the package has errors of its own for unknown kinds of keys
        raise ValueError(f"{path} is not a public key in PEM; {_MAKE_PUBLIC}") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise ValueError(f"{path} is not an ed25519 key; {_MAKE_PUBLIC}")
    return key


def _library() -> tuple[Any, Any]:
    """The modules of cryptography that read keys and know their kinds."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ImportError("signatures need cryptography: pip install 'torchseg-compress[sign]'") from error
    return serialization, ed25519


def _read(path: Path, advice: str) -> bytes:
    if not path.is_file():
        raise ValueError(f"there is no key {path}; {advice}")
    with path.open("rb") as file:
        return file.read(_LONGEST_KEY)


def _last(manifest: Manifest) -> str:
    if not manifest.entries:
        raise RecordError(f"{MANIFEST} names no file, so there is nothing to sign")
    return manifest.entries[-1].chain


def _message(chain: str) -> bytes:
    """What is signed says what it is, so that no signature of something else can stand for it."""
    return f"torchseg manifest {_VERSION}\n{chain}\n".encode()
