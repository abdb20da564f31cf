"""The engine Optuna: its TPE sampler chooses, trials run in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torchseg.config.search_space import Range, Space, Value
from torchseg.pipeline.search_engine import SearchTask, random_trials
from torchseg.pipeline.search_record import TrialRecord

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


class OptunaEngine:
    """Asks a study that is made anew out of the records for each trial, with a seed of its number.

    What is tried next is so a function of what came before, whether or not the search was interrupted in between.
    """

    def check(self) -> None:
        """Raises ImportError without Optuna."""
        try:
            import optuna  # noqa: F401
        except ImportError as error:
            raise ImportError("--engine optuna needs optuna: pip install 'torchseg-compress[search]'") from error

    def run(self, task: SearchTask) -> None:
        """Runs the trials that are left, one after the other."""
        for number in task.open:
            begun = task.records.read(number)
            parameters = begun.parameters if begun else self._suggest(task, number)
            task.told(task.run(number, parameters))

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
        for record in task.records.ended():
            if record.number and record.score is not None:
                study.add_trial(_told(record, distributions))
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


def _told(record: TrialRecord, distributions: dict[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    import optuna

    return optuna.trial.create_trial(
        params=dict(record.parameters),
        distributions=distributions,
        value=record.score,
        intermediate_values=dict(record.validations),
    )
