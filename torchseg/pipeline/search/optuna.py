"""The Optuna engine: its TPE sampler chooses the parameters, and trials run in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torchseg.config.search import Range, Space, Value
from torchseg.pipeline.search.engine import SearchTask, random_trials

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class OptunaEngine:
    """For each trial, rebuilds a study from the records, seeded with the trial's number, and asks it for parameters.

    So the next trial depends only on the earlier results, whether or not the search was interrupted.
    """

    def check(self) -> None:
        """Raises ImportError if Optuna is not installed."""
        try:
            import optuna  # noqa: F401
        except ModuleNotFoundError as error:
            raise ImportError("--engine optuna needs optuna: pip install 'torchseg-compress[search]'") from error

    def run(self, task: SearchTask) -> None:
        """Runs the remaining trials, one after another."""
        for number in task.open:
            begun = task.records.read(number)
            parameters = begun.parameters if begun else self._suggest(task, number)
            task.on_trial_end(task.run(number, parameters))

    def _suggest(self, task: SearchTask, number: int) -> dict[str, Value]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        config = task.config
        sampler = optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0]),
            n_startup_trials=random_trials(config.trials),
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        distributions = _distributions(config.ranges)
        for parameters, score in task.records.observations(task.given):
            study.add_trial(optuna.trial.create_trial(params=parameters, distributions=distributions, value=score))
        chosen = study.ask(distributions).params
        return {name: config.ranges[name].tidy(value) for name, value in chosen.items()}


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    return {
        name: FloatDistribution(values.low, values.high, log=values.log)
        if isinstance(values, Range)
        else CategoricalDistribution(values.values)
        for name, values in space.items()
    }
