"""One trial, in a process that NNI starts: `python -m torchseg.pipeline.search.nni.trial --config RUN/config.yaml`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from torchseg.cli.command import DONE, run_command
from torchseg.config import SearchConfig
from torchseg.pipeline.search.nni.engine import NUMBERS, OWN_HOMES
from torchseg.record import plain_json


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the trial that NNI asks for, with the user's own home folder."""
    os.environ.update(plain_json(os.environ[OWN_HOMES]))
    return run_command(SearchConfig, _job, argv)


def _job(config: SearchConfig) -> int:
    import nni  # type: ignore[import-untyped]
    import torch

    from torchseg.pipeline.run.dataset import cached_pictures, distill_pictures
    from torchseg.pipeline.run.folder import RunFolder
    from torchseg.pipeline.run.session import decide, launch
    from torchseg.pipeline.search.trial import TrialRunner

    torch.set_num_threads(config.cores)
    folder = RunFolder(config.run)
    pictures = cached_pictures(distill_pictures(config), folder.path)
    chosen = nni.get_next_parameter()
    parameters = {name: values.tidy(chosen[name]) for name, values in config.ranges.items()}
    numbers = plain_json(os.environ[NUMBERS])
    number = int(numbers[nni.get_sequence_id()])
    fabric = launch(config)
    runner = TrialRunner(decide(config, fabric, folder.path), pictures, folder, fabric)
    record = runner.run(number, parameters, report=lambda epoch, miou: nni.report_intermediate_result(miou))
    if record.score is None:
        return 1  # NNI counts it as failed; the record says why
    nni.report_final_result(record.score)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
