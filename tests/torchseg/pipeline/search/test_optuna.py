from __future__ import annotations

import pytest

from torchseg.config import SearchConfig
from torchseg.pipeline.search.engine import SearchTask
from torchseg.pipeline.search.optuna import OptunaEngine
from torchseg.pipeline.search.record import TrialRecord, TrialRecords

optuna = pytest.importorskip("optuna")


def test_trials_gather_around_the_configuration_as_given_if_it_is_far_better_than_what_chance_draws(tmp_path):
    def searched(given):
        records = TrialRecords(tmp_path / str(len(given)))
        records.write(TrialRecord(number=0, status="done", val_miou=0.9))

        def run(number, parameters):
            record = TrialRecord(number=number, status="done", parameters=parameters, val_miou=0.1)
            records.write(record)
            return record

        config = SearchConfig(space="alpha=0.1..0.9", trials=40)
        OptunaEngine().run(
            SearchTask(config=config, records=records, given=given, run=run, on_trial_end=lambda record: None)
        )
        chosen = [record.parameters["alpha"] for record in records.ended() if record.number > 20]
        return sum(abs(alpha - 0.85) < 0.05 for alpha in chosen) / len(chosen)

    assert searched({"alpha": 0.85}) > 2 * searched({})
