from __future__ import annotations

from torchseg.pipeline.search.record import TrialRecord, TrialRecords


def test_records_come_back_as_they_were_written(tmp_path):
    records = TrialRecords(tmp_path)
    done = TrialRecord(
        number=2, status="done", parameters={"alpha": 0.5}, val_miou=0.4, validations=((1, 0.3), (2, 0.4))
    )
    for record in (done, TrialRecord(number=1, status="failed", note="why"), TrialRecord(number=3)):
        records.write(record)
    assert records.read(2) == done
    assert records.read(4) is None
    assert [record.number for record in records.ended()] == [1, 2]


def test_engines_learn_from_the_configuration_as_given_where_it_is_a_trial_of_the_space(tmp_path):
    records = TrialRecords(tmp_path)
    for number, parameters, miou in ((0, {}, 0.3), (1, {"alpha": 0.5}, 0.4), (2, {"alpha": 0.6}, None)):
        status = "failed" if miou is None else "done"
        records.write(TrialRecord(number=number, status=status, parameters=parameters, val_miou=miou))
    assert records.observations({"alpha": 0.1}) == [({"alpha": 0.1}, 0.3), ({"alpha": 0.5}, 0.4)]
    assert records.observations({}) == [({"alpha": 0.5}, 0.4)]


def test_a_trial_over_budget_scores_worse_the_further_it_is_over():
    near, far = (TrialRecord(number=1, status="over budget", overrun=share) for share in (0.1, 2.0))
    assert far.score < near.score < 0
    assert TrialRecord(number=1, status="done", val_miou=0.0).score == 0
    assert TrialRecord(number=1, status="failed").score is None
