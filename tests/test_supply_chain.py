"""What is installed is known: pinned by version and hash, and listed with licences."""

from __future__ import annotations

import importlib.util
import json
import re
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\$")


@pytest.fixture(scope="module")
def sbom():
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "benchmarks/sbom.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def versions(sbom):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return {sbom.normalised(name): version for name, version in (line.split("==") for line in lines)}


@pytest.fixture(scope="module")
def hashed(sbom):
    """Version and hashes of each package of the file with hashes."""
    found = {}
    for line in (ROOT / "constraints-hashes.txt").read_text(encoding="utf-8").splitlines():
        if start := PINNED.match(line):
            hashes = found.setdefault(sbom.normalised(start[1]), (start[2], []))[1]
        else:
            hashes.append(re.fullmatch(r"    --hash=sha256:([0-9a-f]{64})( \\)?", line)[1])
    return found


def test_hashes_are_those_of_the_versions_that_were_tested(hashed, versions):
    assert {name: version for name, (version, _) in hashed.items() if versions.get(name, version) != version} == {}


def test_every_package_has_hashes(hashed):
    assert [name for name, (_, hashes) in hashed.items() if not hashes] == []


def test_hashes_cover_what_the_project_requires(hashed, versions, sbom):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = {sbom.normalised(name) for name in re.findall(r'"([\w-]+)(?:\[\w+\])?>=', text)}
    of_their_own = {"setuptools", "mkdocs-material", "uv"}  # the last two have an environment of their own
    assert required - of_their_own <= set(hashed)
    assert required - {"setuptools"} <= set(versions) | {sbom.normalised(each) for each in ("types-pyyaml",)}


@pytest.fixture
def package(tmp_path):
    def make(name, version, **fields):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = [f"Name: {name}", f"Version: {version}"]
        lines += [f"{key.replace('_', '-')}: {each}" for key, values in fields.items() for each in values]
        (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", *lines]) + "\n")
        return PathDistribution(folder)

    return make


@pytest.fixture
def environment(package):
    return [
        package("torchseg_compress", "0.2.0", Requires_Dist=["Torch>=2", "nni>=3; extra == 'compress'", "absent"]),
        package("torch", "2.13.0+cpu", License_Expression=["BSD-3-Clause"], Requires_Dist=["type.ing (>=4)"]),
        package("type-ing", "4.1", License=["A licence\n        text"], Classifier=["License :: OSI Approved :: MIT"]),
        package("nni", "3.0", License=["MIT"], Requires_Dist=["nni[all]", "torch"]),
    ]


def test_a_bill_has_the_fields_that_its_format_requires(sbom, environment):
    bill = sbom.bill_of_materials(environment)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    parts = [bill["metadata"]["component"], *bill["components"]]
    assert all(each["type"] in ("application", "library") and each["name"] and each["version"] for each in parts)
    references = [each["bom-ref"] for each in parts]
    assert len(set(references)) == len(references)
    assert [each["ref"] for each in bill["dependencies"]] == sorted(references, key=lambda name: name)
    assert {name for each in bill["dependencies"] for name in each["dependsOn"]} <= set(references)


def test_a_bill_names_packages_licences_and_what_they_need(sbom, environment):
    bill = sbom.bill_of_materials(environment)
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/torchseg-compress@0.2.0"
    assert {each["purl"]: each["licenses"] for each in bill["components"]} == {
        "pkg:pypi/torch@2.13.0%2Bcpu": [{"expression": "BSD-3-Clause"}],
        "pkg:pypi/type-ing@4.1": [{"license": {"name": "MIT"}}],
        "pkg:pypi/nni@3.0": [{"license": {"name": "MIT"}}],
    }
    assert {each["ref"].split("/")[1]: each["dependsOn"] for each in bill["dependencies"]} == {
        "torchseg-compress@0.2.0": ["pkg:pypi/nni@3.0", "pkg:pypi/torch@2.13.0%2Bcpu"],
        "torch@2.13.0%2Bcpu": ["pkg:pypi/type-ing@4.1"],
        "type-ing@4.1": [],
        "nni@3.0": ["pkg:pypi/torch@2.13.0%2Bcpu"],
    }


def test_the_same_environment_gives_the_same_bill(sbom, environment):
    assert sbom.bill_of_materials(environment) == sbom.bill_of_materials(reversed(environment))
    fewer = sbom.bill_of_materials(environment[:-1])
    assert fewer["serialNumber"] != sbom.bill_of_materials(environment)["serialNumber"]


def test_a_bill_of_another_environment_is_refused(sbom, environment):
    with pytest.raises(ValueError, match=r"torchseg-compress is not installed in the environment of .*; run make test"):
        sbom.bill_of_materials(environment[1:])


def test_the_script_lists_this_environment(sbom, tmp_path, capsys):
    assert sbom.main(["--out", str(tmp_path / "bill.json")]) == 0
    bill = json.loads((tmp_path / "bill.json").read_text(encoding="utf-8"))
    assert {"torch", "numpy", "safetensors"} <= {each["name"] for each in bill["components"]}
    assert capsys.readouterr().out == f"{tmp_path / 'bill.json'}: {len(bill['components'])} packages\n"
