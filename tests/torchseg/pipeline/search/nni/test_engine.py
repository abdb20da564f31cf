from __future__ import annotations

import json

import pytest

from torchseg.pipeline.search.nni.engine import HOMES, OWN_HOMES, _environment, shell_line


@pytest.mark.parametrize(
    ("windows", "line"),
    [(False, "'C:\\my folder\\python' -m it"), (True, '"C:\\my folder\\python" -m it')],
)
def test_a_trial_starts_in_the_shell_of_the_system(windows, line):
    assert shell_line(["C:\\my folder\\python", "-m", "it"], windows=windows) == line


@pytest.mark.parametrize("name", HOMES)
def test_nni_gets_a_home_below_the_run_and_trials_go_back_to_the_user_s_own(name, tmp_path, monkeypatch):
    for other in HOMES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "/home/me")
    environment = _environment(tmp_path)
    assert environment[name] == str(tmp_path / "home")
    assert json.loads(environment[OWN_HOMES]) == {name: "/home/me"}
