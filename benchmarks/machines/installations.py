"""The virtual environments that the job runs in, created once and kept in `.venv-machines/`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
STORE = REPOSITORY / ".venv-machines"
_FULL = ("tf", "compress")  # the extras that `make distill` installs
_THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"


class NoInterpreterError(Exception):
    """A Python version is not installed on this machine."""


@dataclass(frozen=True)
class Installation:
    """Python environment in which the commands run.

    Attributes:
        python: interpreter that imports the package.
        home: folder from which `torchseg` must be imported.
        scripts: whether commands are run as `python scripts/NAME.py` instead of `torchseg NAME`.
    """

    python: Path
    home: Path
    scripts: bool

    def command(self, name: str) -> list[str]:
        """Start of the command line for a command of this name."""
        if self.scripts:
            return [str(self.python), str(REPOSITORY / "scripts" / f"{name}.py")]
        return [str(self.python.with_name("torchseg")), name]

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables: the repository is importable only if its scripts are run."""
        return {"PYTHONPATH": str(REPOSITORY)} if self.scripts else {}


def checkout() -> Installation:
    """This repository, in the environment of this process."""
    return Installation(Path(sys.executable), REPOSITORY, scripts=True)


def installed_wheel(version: str, wheel: Path, *, extras: Sequence[str] = _FULL) -> Installation:
    """Installs the wheel into an environment of its own, without access to the repository.

    Args:
        version: of Python, e.g. `3.12`. If it is the version of this process and all of `_FULL` is installed, the
            dependencies are borrowed from this process's environment through a .pth file. The .pth files in there, and
            thus its editable installations, are not read.
        wheel: of this project.
        extras: whose packages are installed in addition to the core's.

    Raises:
        NoInterpreterError: if that Python version is not installed.
        subprocess.CalledProcessError: if the installation fails.
    """
    borrows = version == _THIS and tuple(extras) == _FULL
    folder = STORE / f"{version}{'-borrowing' if borrows else '' if extras else '-core'}"
    requirements = [] if borrows else _requirements(extras)
    python = _environment(folder, version, requirements)
    packages = _site_packages(python)
    if borrows:
        (packages / "borrowed.pth").write_text(f"{_site_packages(Path(sys.executable))}\n", encoding="utf-8")
    _pip(python, "install", "--force-reinstall", "--no-deps", str(wheel))
    return Installation(python, packages, scripts=False)


def build_wheel() -> Path:
    """Builds a wheel of this repository from its source distribution with `python -m build`."""
    python = _environment(STORE / "build", _THIS, ["build"])
    target = STORE / "dist"
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(
        [python, "-m", "build", "--outdir", target, REPOSITORY], check=True, capture_output=True, env=_clean()
    )
    return next(target.glob("*.whl"))


def _environment(folder: Path, version: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages; rebuilt only if the packages or their versions change."""
    constraints = REPOSITORY / "constraints.txt"
    wanted = hashlib.sha256("\n".join([*requirements, constraints.read_text(encoding="utf-8")]).encode()).hexdigest()
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    base = _interpreter(version)
    print(f"installing into {folder.relative_to(REPOSITORY)}, some minutes the first time", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([base, "-m", "venv", folder], check=True, env=_clean())
    if requirements:
        _pip(python, "install", "--constraint", str(constraints), *requirements)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _interpreter(version: str) -> Path:
    """The first interpreter that starts and has that version; a name on the path may be a shim without a target."""
    on_path = shutil.which(f"python{version}")
    kept = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
    for candidate in [Path(sys.executable), *([Path(on_path)] if on_path else []), *sorted(kept)]:
        asked = "import sys; print('%d.%d' % sys.version_info[:2])"
        said = subprocess.run(
            [candidate, "-c", asked], capture_output=True, text=True, check=False, env=_clean(), encoding="utf-8"
        )
        if said.returncode == 0 and said.stdout.strip() == version:
            return candidate
    raise NoInterpreterError(f"no interpreter of Python {version}")


def _requirements(extras: Sequence[str]) -> list[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(package for extra in extras for package in optional[extra])]


def _site_packages(python: Path) -> Path:
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(
        subprocess.run(
            [python, "-c", asked], capture_output=True, text=True, check=True, encoding="utf-8"
        ).stdout.strip()
    )


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, capture_output=True, env=_clean())


def _clean() -> dict[str, str]:
    """The environment variables of this process, without those that would expose its packages to another Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
