"""The verify command: makes certificates again and compares them with the stored ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tf_bridge.certify.compare_certificates import recorded_lies
from tf_bridge.certify.verdict import MAX_DROP
from torchseg.checkpoint import CARD, read_card, sha256_of
from torchseg.cli.command import CHECK_FAILED, DONE
from torchseg.config import VerifyConfig
from torchseg.config.child_limits import within_limits
from torchseg.harness.measure.weights import WeightCount, count_weights
from torchseg.modelfile.certificate import CERTIFICATE_VERSION, TOO_FEW, read_certificate
from torchseg.modelfile.kinds import CHECKPOINT_FILES, EXPORT_SUFFIXES
from torchseg.modelfile.precision import Precision, precision_in_name
from torchseg.pipeline.commands.import_tf import certify_again, proof_of
from torchseg.pipeline.export.budget import CERTIFIED_WITH, Budget
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.export.foreign_file import ForeignFile
from torchseg.pipeline.export.recorded_claims import float_layer_lies, not_checked, packed_lies, worst_image_lies
from torchseg.pipeline.manifest.manifest import MANIFEST
from torchseg.pipeline.manifest.record_check import RunRecordCheck
from torchseg.pipeline.manifest.signature import SIGNATURE, private_key, public_key, sign_run, signature_problem
from torchseg.pipeline.manifest.table_check import weights_apart
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.pipeline.run.imported import read_imported, sha256_of_model
from torchseg.pipeline.run.lock import read_locked
from torchseg.pipeline.run.recorded_config import recorded_config, run_of
from torchseg.pipeline.run.session import CONFIG
from torchseg.pipeline.stages.export import ARTIFACTS

_NAME = "STAGE.PRECISION.FORMAT, e.g. student.int8.onnx"


@within_limits
def verify(config: VerifyConfig) -> int:
    """Compares each file with its source network again; returns 1 if any certificate does not hold, otherwise 0.

    A run's folder stands for all files in it: each is held against the manifest as well, and so are the images. Every
    file is judged, whatever is wrong with those before it. Signatures are of runs.

    Raises:
        ValueError: if a path is not in a run, another command is running in that, or its run's images or a key cannot
            be read.
    """
    failed, opened, signatures = False, Verifier(), _Signatures(config)
    for given in config.files:
        models = _files_in(given)
        with _unchanged(given):
            if models == [given]:
                failed |= _model_fails(given, opened, config)
            else:
                bad = _run_fails(given, models, opened, config)
                failed |= bad | signatures.fail(given, holds=not bad)
    return CHECK_FAILED if failed else DONE


def _unchanged(given: Path) -> AbstractContextManager[None]:
    """Keeps other commands from writing into the run of this path, whose files would seem changed."""
    try:
        return read_locked(run_of(given))
    except ValueError:  # it is in no run, which is told when it is judged
        return nullcontext()


def _run_fails(run: Path, models: Sequence[Path], opened: Verifier, config: VerifyConfig) -> bool:
    """Prints what became of everything that a run wrote and read."""
    record = RunRecordCheck(run, models)
    _show(record.lines(lambda: opened.pictures(run, config.root)))
    bad = sum(_model_fails(path, opened, config) for path in models) > 0  # every file is judged
    _show(record.table_lines(opened.weights))  # last, since it reads the weights, as the certificates do
    return bad or record.failed


def _model_fails(path: Path, opened: Verifier, config: VerifyConfig) -> bool:
    """Prints what became of a file; raises ValueError for one that cannot be judged and is the only one named."""
    try:
        read_certificate(path)  # before the images: a file without one has nothing to verify
        problems, holds = opened.problems(path, opened.pictures(run_of(path), config.root))
    except (ValueError, ImportError) as error:
        if [*config.files] == [path]:
            raise
        problems, holds = [str(error)], ""
    _show([f"{path}: " + ("; ".join(problems) or holds)])
    return bool(problems)


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


class _Signatures:
    """Checks and makes the signatures that the flags ask for; keys are read before anything is verified."""

    def __init__(self, config: VerifyConfig) -> None:
        self._private = private_key(config.sign) if config.sign else None
        self._public = public_key(config.verify_key) if config.verify_key else None
        files = [path for path in config.files if not (path / CONFIG).is_file()]
        if files and (self._private or self._public):
            raise ValueError(f"{files[0]} is no folder of a run, and only runs are signed; give the run's folder")

    def fail(self, run: Path, *, holds: bool) -> bool:
        """Prints what the flags asked for; returns whether it could not be done.

        Args:
            run: folder of the run.
            holds: whether everything else in it does; otherwise it is not signed.
        """
        problem = signature_problem(run, self._public) if self._public else ""
        if self._public:
            print(f"{run / SIGNATURE}: {problem or 'signed by the owner of this key'}", flush=True)
        if self._private and holds and not problem:
            sign_run(run, self._private)
            print(f"{run / SIGNATURE}: written", flush=True)
        elif self._private:
            print(f"{run}: not signed, because not everything in it holds", flush=True)
        return bool(problem)


def _files_in(path: Path) -> list[Path]:
    """The model files of a run, or the path itself; raises ValueError for what is neither, and for an empty run."""
    if not (path / CONFIG).is_file():
        _check_model_file(path)
        return [path]
    folder = path / ARTIFACTS
    named = [each for each in sorted(folder.glob("*")) if not each.name.startswith(".")]  # others were never finished
    files = [each for each in named if each.suffix in EXPORT_SUFFIXES and ".failed" not in each.name]
    if not files and not (path / MANIFEST).is_file():
        raise ValueError(f"{path} has no model files in {ARTIFACTS}; export a network first")
    return files


def _check_model_file(path: Path) -> None:
    if not path.exists():
        raise ValueError(f"there is no file {path}; check the path")
    if (path / CARD).is_file() or path.name in CHECKPOINT_FILES:
        raise ValueError(f"{path} is a checkpoint, which has no certificate; give its run, or the files made from it")
    if path.is_dir():
        raise ValueError(f"{path} is not a run: it has no {CONFIG}; give the folder of a run, or model files in it")
    if path.suffix not in EXPORT_SUFFIXES:
        kinds = ", ".join(EXPORT_SUFFIXES)
        raise ValueError(f"{path} is not a model file; give one that ends in {kinds}, or the folder of a run")


class Verifier:
    """Images and networks that several files share, each opened once."""

    def __init__(self) -> None:
        self._pictures: dict[Path, Pictures] = {}
        self._unreadable: set[Path] = set()  # runs
        self._exports: dict[tuple[Path, Budget], NetworkExport] = {}
        self._weights: dict[Path, WeightCount] = {}

    def pictures(self, run: Path, root: Path | None) -> Pictures:
        """The images of a run; what is wrong with them is said once, and then that it was said."""
        if run in self._unreadable:
            raise ValueError(f"not verified, because the images of {run} cannot be read, as said above")
        if run not in self._pictures:
            try:
                self._pictures[run] = open_pictures(recorded_config(run, root=root))
            except (ValueError, OSError):
                self._unreadable.add(run)
                raise
        return self._pictures[run]

    def problems(self, path: Path, pictures: Pictures) -> tuple[list[str], str]:
        """What no longer matches the file's certificate, and what to say if that is nothing."""
        recorded = read_certificate(path)
        if recorded["file"] != path.name:
            return [f"its certificate is that of {recorded['file']}; export {path.name} again"], ""
        if sha256_of(path) != recorded["sha256"]:
            return ["the file has changed since it was certified (its SHA-256 differs); export it again"], ""
        precision = precision_in_name(path)  # and not the certificate's, which may claim one with wider limits
        if precision is None:
            return [f"its name has no precision, which decides the limits; export it again as {_NAME}"], ""
        run, stage = run_of(path), path.name.split(".")[0]
        imported = read_imported(run, stage)
        source = run / imported.file if imported else run / stage / "model.safetensors"
        if not source.exists() or sha256_of_model(source) != recorded["checkpoint_sha256"]:
            return [f"{source} is not the network that it was made from; make the file again"], ""
        if imported:
            fresh = certify_again(path, source, imported.spec, pictures)
            lies = worst_image_lies(recorded, fresh, proof_of(pictures, imported.spec).names)
            return [*_problems(recorded, fresh), *lies], _holds(recorded, fresh, path)
        spec = read_card(run / stage).spec
        export = self._export(run / stage, pictures.scaled((spec.mean, spec.std)), _budget(recorded))
        calibration = export.calibrated_with if precision is Precision.INT8 else ()
        with ForeignFile(path) as foreign:
            foreign.load()
            fresh = export.certify(path, precision=precision, calibration=calibration, foreign=foreign)
            problems = [*_problems(recorded, fresh), *packed_lies(recorded, path)]
            problems += worst_image_lies(
                recorded, fresh, export.image_names, lambda name: export.parity_on(name, path, foreign)
            )
            if foreign.stored is not None:
                self._weights[path] = count_weights(weight.rows for weight in foreign.stored)
                if precision in (Precision.INT8, Precision.FP16):
                    found = dict.fromkeys(fresh["layers"].get("float_layers", ()), "float32")
                    problems += float_layer_lies(recorded, found | export.stored_dtypes(foreign.stored))
        return problems, _holds(recorded, fresh, path)

    def weights(self, path: Path) -> WeightCount:
        """Zeros and distinct values in a file; those of a file that was certified are known."""
        return self._weights.get(path) or weights_apart(path)

    def _export(self, checkpoint: Path, pictures: Pictures, budget: Budget) -> NetworkExport:
        key = checkpoint, budget
        if key not in self._exports:
            self._exports.clear()  # one network at a time, which bounds memory
            self._exports[key] = NetworkExport(checkpoint, pictures, budget)
        return self._exports[key]


def _problems(recorded: dict[str, Any], fresh: dict[str, Any]) -> list[str]:
    verdict = fresh["verdict"]
    beyond = [f"made with limits of its own; by the standard ones, {each}" for each in verdict["beyond_standard"]]
    return [*verdict["failures"], *beyond, *recorded_lies(recorded, fresh)]


def _holds(recorded: dict[str, Any], fresh: dict[str, Any], path: Path) -> str:
    """What a certificate proves whose numbers all hold."""
    words = ["its certificate holds"]
    if not fresh["standard_limits"]:
        words.append("by its own limits and by the standard ones")
    if fresh["verdict"]["accuracy"].startswith(TOO_FEW):
        words.append(f"on what the file computes; on accuracy, {fresh['verdict']['accuracy']}")
    if recorded["version"] < CERTIFICATE_VERSION:
        words.append(f"(it is of version {recorded['version']}; export again for one that names the proof)")
    unchecked = not_checked(recorded, fresh, path)
    return " ".join(words) + (f"; recorded, not checked: {', '.join(unchecked)}" if unchecked else "")


def _budget(recorded: dict[str, Any]) -> Budget:
    """The accuracy budget in the certificate, on as many images as it says, and no fewer than any export takes."""
    limits = recorded["thresholds"]
    return Budget(
        drop=limits.get("max_miou_drop", MAX_DROP),
        class_drop=limits.get("max_class_drop"),
        pictures=max(recorded["images"]["count"], CERTIFIED_WITH),
    )
