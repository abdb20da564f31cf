"""Makes the trainings of a grid, several at a time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from torchseg.harness.format import counted
from torchseg.models import build_model, multiply_adds, parse_arguments
from torchseg.pipeline.grid.grid_progress import GridProgress
from torchseg.pipeline.grid.plan import Training
from torchseg.pipeline.grid.trainer import Maker
from torchseg.pipeline.run.dataset import Pictures

_LOG = logging.getLogger(__name__)
Failures = dict[tuple[str, str], str]  # reason by name of the training and file


def make_trainings(maker: Maker, pictures: Mapping[str, Pictures], *, jobs: int) -> Failures:
    """Trains and exports what is left, the longest first so that the last ones end together.

    Args:
        maker: of the grid.
        pictures: by name of the training.
        jobs: trainings at a time.

    Returns:
        The reason for every file that could not be made; empty when all went well.
    """
    left = [each for each in maker.plan.trainings if not maker.is_done(each)]
    before = len(maker.plan.trainings) - len(left)
    cells, files = len(maker.plan.cells), f", {before} made before" if before else ""
    each = f"{counted(jobs, 'job')} of {counted(maker.threads, 'thread')}"
    print(f"{counted(cells, 'cell')} of {counted(len(maker.plan.trainings), 'training')}{files}; {each}", flush=True)
    work = {training.name: _work(training, pictures[training.name]) for training in left}
    progress, failures = GridProgress(work), Failures()
    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        order = sorted(left, key=lambda training: -work[training.name])
        running: dict[Future[dict[str, str]], Training] = {pool.submit(maker.make, each): each for each in order}
        while running:
            done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                training = running.pop(future)
                failed = _failures(future, maker.plan.files(training))
                failures |= {(training.name, file): reason for file, reason in failed.items()}
                progress.end(training.name, failed=len(failed))
            progress.beat({each.name: maker.log(each) for future, each in running.items() if future.running()})
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return failures


def _failures(future: Future[dict[str, str]], files: Sequence[str]) -> dict[str, str]:
    """What a training says of its files; an exception costs all of them, and no other training."""
    try:
        return future.result()
    except Exception as error:
        _LOG.exception("a training failed")
        return dict.fromkeys(files, f"training: {type(error).__name__}: {error}")


def _work(training: Training, pictures: Pictures) -> float:
    """How long a training takes, against others."""
    config = training.config
    network = build_model(config.model, parse_arguments(config.model_arguments), pictures.spec)
    return float(max(1, config.epochs) * len(pictures.train) * multiply_adds(network, pictures.spec))
