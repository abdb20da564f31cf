"""What all tests share. No property test has a time limit per example, because the first tensor call is slow."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from unittest.mock import MagicMock

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # two test processes on two cores must not spin while they wait

import numpy as np
import pytest
import torch
from hypothesis import settings
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from PIL import Image

import torchseg  # noqa: F401 - mends torchvision before anything imports it
from torchseg.data.datasets.idd import COLOURS
from torchseg.data.datasets.scenes import draw_scene
from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.latency import Latency, LatencyConfig
from torchseg.harness.worker import Worker
from torchseg.modelfile.kinds import runtime_name
from torchseg.modelfile.run_options import DEFAULT_OPTIONS
from torchseg.models import Student

# A check that others wait for draws the same examples each time (CI is set there); elsewhere new ones are drawn.
settings.register_profile("tensors", deadline=None, max_examples=25, derandomize="CI" in os.environ)
settings.load_profile("tensors")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    """Commands write below the current folder unless told otherwise."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fabric_in_one_thread(monkeypatch):
    """Fails where a second thread comes to code of Fabric that keeps a flag for the whole process.

    The flag went wrong only when two threads met in it by chance, and only with the precisions that look at it.
    """
    for owner, name in ((Fabric, "backward"), (_FabricModule, "forward")):
        monkeypatch.setattr(owner, name, _in_main_thread(getattr(owner, name)))


def _in_main_thread(function):
    def checked(*arguments, **options):
        assert threading.current_thread() is threading.main_thread(), f"{function.__qualname__} in a second thread"
        return function(*arguments, **options)

    return checked


@pytest.fixture(autouse=True)
def _on_one_thread():
    """Commands set the number of threads for the whole process, and sums depend on it."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def time_quickly():
    """Times files with two turns of one prediction until the patch is undone."""

    def apply(patch):
        def quick(**settings):
            return LatencyConfig(**settings | {"rounds": 2, "repeats": 1, "warmup": 1, "max_rounds": 2})

        for module in ("stages.scoring", "commands.score"):
            patch.setattr(f"torchseg.pipeline.{module}.LatencyConfig", quick)

    return apply


@pytest.fixture(scope="session")
def measure_here():
    """Lets files be measured in the test's own process until the patch is undone."""

    def apply(patch):
        for module in ("scoring.measurement", "scoring.peak_memory"):
            patch.setattr(f"torchseg.harness.{module}.RuntimeProcess", _ProcessHere)

    return apply


@pytest.fixture
def tiny_students(monkeypatch):
    """A family of three small students, timed with two turns of one prediction in the test's own process."""
    family = {
        "narrow": Student("small_unet", {"base_width": 2, "depth": 1}),
        "wide": Student("small_unet", {"base_width": 6, "depth": 1}),
        "deep": Student("small_unet", {"base_width": 4, "depth": 3}),
    }
    for name, value in (
        ("STUDENTS", family),
        ("RuntimeProcess", _ProcessHere),
        ("LatencyConfig", lambda: LatencyConfig(rounds=2, repeats=1, warmup=1, max_rounds=2)),
    ):
        monkeypatch.setattr(f"torchseg.pipeline.students.measure.{name}", value)
    return family


@pytest.fixture
def quick_students(tiny_students, monkeypatch):
    """The same family with made-up files and times; gives the number of files of every timing."""
    timed = []

    def write(conversion, path, **_):
        path.write_bytes(b"0" * sum(each.numel() for each in conversion.model.parameters()))

    def time(processes, *_, **__):
        timed.append(len(processes))
        return [Latency(recorded_ms=np.full((2, 1), 1.0 + at)) for at in range(len(processes))]

    monkeypatch.setattr("torchseg.pipeline.students.measure.RuntimeProcess", lambda *_, **__: MagicMock())
    monkeypatch.setattr("torchseg.pipeline.students.measure.measure_latency", time)
    monkeypatch.setattr("tf_bridge.conversion.Conversion.write", write)
    return timed


class _ProcessHere(RuntimeProcess):
    """Does in this process what the worker does in its own: importing PyTorch for every file would take minutes."""

    def __init__(self, path, *, name=None, threads=1, options=DEFAULT_OPTIONS):
        self.path, self.name, self.options = path, name or runtime_name(path), options
        self._worker = Worker(self.name, threads)
        self._worker.start()

    def ready(self):
        pass

    def load(self):
        return self._call("load", str(self.path), asdict(self.options))

    def close(self):
        pass

    def _call(self, method, *arguments):
        try:
            return getattr(self._worker, method)(*arguments)
        except Exception as error:
            raise RuntimeProcessError(str(error)) from error


@pytest.fixture(scope="session")
def drawn_pictures(tmp_path_factory):
    """Thirty small pictures with masks, not to be changed."""
    root = tmp_path_factory.mktemp("drawn")
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(30):
        picture, mask = draw_scene(32, 32, np.random.default_rng(number))
        Image.fromarray(picture).save(root / "images" / f"p{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"p{number}.png")
    (root / "classes.txt").write_text("ground\nstriped\nchecked\nwire\nring\n")
    return root


@pytest.fixture(autouse=True)
def no_heartbeat(request, monkeypatch):
    """Commands do not say that they still work, which they would do only where the machine is slow.

    The mark `heartbeat` lets them.
    """
    if "heartbeat" not in request.keywords:
        monkeypatch.setattr("torchseg.cli.command.heartbeat", nullcontext)


@pytest.fixture
def refusal(capsys):
    """The only line on stderr, which must be an error message."""

    def read():
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
        return lines[0]

    return read


@pytest.fixture(scope="session")
def passed_certificate():
    """Makes the values of a certificate that passed, with the named fields in place of its own."""
    names = {"count": 0, "names_sha256": ""}
    values = {"version": 3, "file": "", "sha256": "", "checkpoint_sha256": "", "precision": "fp32", "images": names}
    values |= {"preprocessing": {"height": 8, "width": 8}, "calibration_images": names, "differences": {}}
    values |= {"thresholds": {}, "verdict": {"passed": True}}
    return lambda **changes: {**values, **changes}


@pytest.fixture
def save(tmp_path):
    """Writes an array as a picture below the test's folder, and gives its path."""

    def write(name: str, values, *, size=(6, 8)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        array = np.asarray(values, np.uint8)
        Image.fromarray(np.broadcast_to(array, (*size, *array.shape)) if array.ndim < 2 else array).save(path)
        return path

    return write


@pytest.fixture
def pets(tmp_path):
    """A made-up copy of Oxford-IIIT Pet in its official layout."""
    root = tmp_path / "oxford-iiit-pet"
    (root / "images").mkdir(parents=True)
    (root / "annotations" / "trimaps").mkdir(parents=True)
    names = [f"Abyssinian_{number}" for number in range(30)]
    for number, name in enumerate(names):
        Image.new("RGB", (8, 6), (8 * number, 9, 9)).save(root / "images" / f"{name}.jpg")
        trimap = np.random.default_rng(0).integers(1, 4, (6, 8), dtype=np.uint8)
        Image.fromarray(trimap).save(root / "annotations" / "trimaps" / f"{name}.png")
    for part, chosen in (("trainval", names[:24]), ("test", names[24:])):
        (root / "annotations" / f"{part}.txt").write_text(
            "# a comment\n" + "".join(f"{name} 1 1 1\n" for name in chosen)
        )
    return root


@pytest.fixture
def aerial_tiles(save, tmp_path):
    """A made-up copy of the aerial photos: eight tiles, half water with a road beside it, half black."""
    mask = np.zeros((6, 8, 3), np.uint8)
    mask[:3] = (0xE2, 0xA9, 0x29)
    mask[:3, 4:] = (0x6E, 0xC1, 0xE4)
    for tile in range(1, 9):
        save(f"aerial/Tile {tile}/images/part_1.jpg", (20 * tile, 9, 9))
        save(f"aerial/Tile {tile}/masks/part_1.png", mask)
    return tmp_path


@pytest.fixture
def coloured_idd(save, tmp_path):
    """A made-up copy of the repackaged Indian Driving Dataset: all 27 colours in every mask."""
    mask = np.array([[(rgb >> 16, rgb >> 8 & 255, rgb & 255) for rgb in COLOURS.values()]] * 2, np.uint8)

    def write(*splits: str):
        for at, split in enumerate(splits):
            for number in range(8):
                colour = (20 * number, 60 * at, 9)
                save(f"{split}/images/{split}{number}_leftImg8bit.jpg", colour, size=(2, 27))
                save(f"{split}/rgb_labels/{split}{number}_gtFine_polygons.png", mask)
        return tmp_path

    return write


_WINDOWS_BELOW: list[Path] = []


def _refuse_like_windows(event, arguments):
    """Files that this process has open or mapped into memory cannot be renamed, replaced or removed."""
    if not _WINDOWS_BELOW or event not in ("os.rename", "os.remove"):
        return
    names = [Path(each).resolve() for each in arguments[:2] if isinstance(each, str | os.PathLike)]
    if any(name.is_relative_to(folder) for name in names for folder in _WINDOWS_BELOW):
        held = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
        held |= {
            line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        }
        for name in names:
            if str(name) in held:
                raise PermissionError(f"[WinError 32] the file is in use: {name}")


@pytest.fixture
def windows_files(tmp_path):
    """Makes the files below the test's folder as unwilling as Windows makes them."""
    if not Path("/proc/self/maps").is_file():
        pytest.skip("asks /proc which files are in use")
    if not hasattr(_refuse_like_windows, "added"):  # a hook stays for good
        sys.addaudithook(_refuse_like_windows)
        _refuse_like_windows.added = True
    _WINDOWS_BELOW.append(tmp_path.resolve())
    yield
    _WINDOWS_BELOW.clear()
