"""Software bill of materials of an environment: CycloneDX 1.5 as JSON, from what installed packages say of themselves.

    python benchmarks/sbom.py --out sbom.json

Lists the packages of the environment that runs this script, with versions, licences and which of them need which.
The same environment gives the same file. Source: https://cyclonedx.org/docs/1.5/json/
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the scripts beside this one do not need the package installed

from torchseg.atomic_file import partial_file

PROJECT = "torchseg-compress"
_LICENCE_LENGTH = 100  # characters; some packages put the whole text where its name belongs


def main(argv: list[str] | None = None) -> int:
    """Writes the list; exits with 2 if the project is not installed here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("sbom.json"), help="file to write (default: sbom.json)")
    out = parser.parse_args(argv).out
    try:
        bill = bill_of_materials(distributions())
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    with partial_file(out) as partial:
        partial.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    print(f"{out}: {len(bill['components'])} packages")
    return 0


def bill_of_materials(installed: Iterable[Distribution]) -> dict[str, Any]:
    """The document for an environment.

    Args:
        installed: distributions in the order of the import path; of two with one name the first counts.

    Raises:
        ValueError: if the project is not among them.
    """
    named: dict[str, Distribution] = {}
    for each in installed:
        if each.metadata["Name"]:  # what a broken removal left behind has none
            named.setdefault(normalised(each.metadata["Name"]), each)
    if PROJECT not in named:
        raise ValueError(f"{PROJECT} is not installed in the environment of {sys.executable}; run make test first")
    listed = dict(sorted(named.items()))
    content = {
        "metadata": {"component": _component(listed[PROJECT], kind="application")},
        "components": [_component(each, kind="library") for name, each in listed.items() if name != PROJECT],
        "dependencies": [_dependency(each, listed) for each in listed.values()],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return head | content


def normalised(name: str) -> str:
    """Name of a package as indexes compare it. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _purl(package: Distribution) -> str:
    return f"pkg:pypi/{normalised(package.metadata['Name'])}@{package.version.replace('+', '%2B')}"


def _component(package: Distribution, *, kind: str) -> dict[str, Any]:
    found = {
        "type": kind,
        "bom-ref": _purl(package),
        "name": package.metadata["Name"],
        "version": package.version,
        "purl": _purl(package),
    }
    licences = _licences(package)
    return found | ({"licenses": licences} if licences else {})


def _licences(package: Distribution) -> list[dict[str, Any]]:
    """SPDX expression if the package gives one, else the name of its licence, else its classifiers."""
    fields: Any = package.metadata
    if fields["License-Expression"]:
        return [{"expression": fields["License-Expression"]}]
    name = (fields["License"] or "").strip()
    if 0 < len(name) <= _LICENCE_LENGTH and "\n" not in name and name.lower() != "unknown":
        return [{"license": {"name": name}}]
    classifiers = [each for each in fields.get_all("Classifier") or () if each.startswith("License ::")]
    return [{"license": {"name": each.rpartition(" :: ")[2]}} for each in classifiers]


def _dependency(package: Distribution, listed: Mapping[str, Distribution]) -> dict[str, Any]:
    """Which of the listed packages this one names as a requirement, optional ones included."""
    required = (re.match(r"[\w.-]+", each) for each in package.requires or ())
    names = {normalised(each.group()) for each in required if each} - {normalised(package.metadata["Name"])}
    return {"ref": _purl(package), "dependsOn": sorted(_purl(listed[name]) for name in names & set(listed))}


if __name__ == "__main__":
    sys.exit(main())
