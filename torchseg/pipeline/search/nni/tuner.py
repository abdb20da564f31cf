"""NNI's TPE tuner, extended to start from the run's records, so that it knows the trials of earlier experiments.

Only the process that NNI starts for its tuner imports this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nni.algorithms.hpo.tpe_tuner import TpeTuner  # type: ignore[import-untyped]
from nni.common.hpo_utils import format_parameters  # type: ignore[import-untyped]

from torchseg.pipeline.search.record import TrialRecords


class ResumableTpe(TpeTuner):  # type: ignore[misc]
    """Learns from the trials that earlier experiments of the run have ended, and repeats trials that were interrupted.

    Args:
        run: folder of the search.
        seed: of the search; each trial derives its own seed from it, so that an interruption changes no later one.
        numbers: of this experiment's trials, in its order.
        given: parameters of trial 0; empty if they are outside the space.
        random_trials: number of first trials with random parameters.
    """

    def __init__(self, run: str, seed: int, numbers: list[int], given: dict[str, Any], random_trials: int) -> None:
        super().__init__("maximize", seed, {"n_startup_jobs": random_trials})
        self.records, self.seed, self.numbers, self.given = TrialRecords(Path(run)), seed, numbers, given

    def update_search_space(self, space: dict[str, Any]) -> None:
        """Sets the search space and adds the results known so far."""
        super().update_search_space(space)
        known = self.records.observations(self.given)
        self.import_data([{"parameter": parameters, "value": score} for parameters, score in known])

    def generate_parameters(self, parameter_id: int, **options: Any) -> dict[str, Any]:
        """The parameters of the next trial; `parameter_id` counts from 0 in every experiment."""
        number = self.numbers[parameter_id]
        begun = self.records.read(number)
        if begun is not None and begun.parameters and not begun.ended:
            self._params[parameter_id] = format_parameters(dict(begun.parameters), self.space)
            self._running_params[parameter_id] = self._params[parameter_id]
            return dict(begun.parameters)
        self.rng = np.random.default_rng([self.seed, number])
        chosen: dict[str, Any] = super().generate_parameters(parameter_id, **options)
        return chosen
