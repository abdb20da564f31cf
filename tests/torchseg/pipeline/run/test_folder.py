from __future__ import annotations

import json

import pytest

from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.run.lock import locked
from torchseg.record import with_checksum


def _stage(log, inputs=None, content="a", name="one"):
    def run(work):
        log.append(name)
        (work / "out.txt").write_text(content)

    return Stage(name=name, inputs=inputs or {"x": 1}, outputs=["out.txt"], run=run)


def test_a_stage_runs_once(tmp_path):
    log = []
    assert RunFolder(tmp_path).do(_stage(log))
    assert not RunFolder(tmp_path).do(_stage(log))
    assert log == ["one"]
    assert (tmp_path / "out.txt").read_text() == "a"


def test_changed_inputs_run_it_again(tmp_path):
    log = []
    folder = RunFolder(tmp_path)
    folder.do(_stage(log))
    assert folder.do(_stage(log, inputs={"x": 2}))


@pytest.mark.parametrize("spoil", [lambda file: file.write_text("b"), lambda file: file.unlink()])
def test_a_changed_or_missing_output_runs_it_again(tmp_path, spoil):
    folder = RunFolder(tmp_path)
    folder.do(_stage([]))
    spoil(tmp_path / "out.txt")
    assert folder.do(_stage([]))
    assert (tmp_path / "out.txt").read_text() == "a"


def test_what_a_stage_no_longer_leaves_is_removed(tmp_path):
    def writes(*names):
        def run(work):
            for name in names:
                (work / name).parent.mkdir(exist_ok=True)
                (work / name).write_text("a")

        return Stage(name="net", inputs={"names": names}, outputs=names, run=run)

    folder = RunFolder(tmp_path)
    folder.do(writes("net/weights", "net/curves"))
    folder.do(writes("net/weights"))
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["weights"]


def test_an_interrupted_stage_leaves_nothing_under_the_final_name_and_keeps_its_work(tmp_path):
    def dies(work):
        (work / "out.txt").write_text("half")
        (work / "state").write_text("so far")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RunFolder(tmp_path).do(Stage(name="one", inputs={"x": 1}, outputs=["out.txt"], run=dies))
    assert not (tmp_path / "out.txt").exists()

    def goes_on(work):
        assert (work / "state").read_text() == "so far"
        (work / "out.txt").write_text("whole")

    RunFolder(tmp_path).do(Stage(name="one", inputs={"x": 1}, outputs=["out.txt"], run=goes_on))
    assert (tmp_path / "out.txt").read_text() == "whole"


def test_work_with_other_inputs_is_not_gone_on_with(tmp_path):
    def dies(work):
        (work / "state").write_text("so far")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RunFolder(tmp_path).do(Stage(name="one", inputs={"x": 1}, outputs=["out.txt"], run=dies))

    def fresh(work):
        assert not (work / "state").exists()
        (work / "out.txt").write_text("whole")

    RunFolder(tmp_path).do(Stage(name="one", inputs={"x": 2}, outputs=["out.txt"], run=fresh))


def test_the_digest_follows_the_outputs(tmp_path):
    folder = RunFolder(tmp_path)
    folder.do(_stage([]))
    before = folder.digest("one")
    folder.do(_stage([], inputs={"x": 2}))
    assert folder.digest("one") == before
    folder.do(_stage([], inputs={"x": 3}, content="b"))
    assert folder.digest("one") != before


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="has files that no run of this project wrote; give a new folder"):
        RunFolder(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; give a folder"):
        RunFolder(tmp_path / "file")


def test_forgetting_starts_over(tmp_path):
    folder = RunFolder(tmp_path)
    folder.do(_stage([]))
    folder.forget()
    assert not (tmp_path / "out.txt").exists()
    assert folder.do(_stage([]))


def test_a_second_command_is_refused_while_one_runs(tmp_path):
    folder = RunFolder(tmp_path)
    with folder.held():
        folder.forget()  # as --fresh does, in the middle
        with pytest.raises(ValueError, match=r"another command is running in .*; wait until it has ended"):
            RunFolder(tmp_path).held().__enter__()
    with RunFolder(tmp_path).held():
        pass


def test_a_folder_whose_forgetting_was_cut_short_is_still_the_folder_of_a_run(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.do(_stage([]))
    removed = []

    def dies(path):
        if removed:
            raise KeyboardInterrupt
        removed.append(path)
        path.unlink()

    with monkeypatch.context() as patch:
        patch.setattr("torchseg.pipeline.run.folder._remove", dies)
        with pytest.raises(KeyboardInterrupt):
            folder.forget()
    assert RunFolder(tmp_path).do(_stage([]))


def test_a_lock_alone_makes_no_folder_foreign(tmp_path):
    with locked(tmp_path):
        assert RunFolder(tmp_path).do(_stage([]))


def test_a_stamp_that_names_a_file_outside_the_run_deletes_nothing(tmp_path):
    """What a stage wrote before and no longer writes is deleted."""
    (tmp_path / "mine.txt").write_text("mine")

    def run(work):
        (work / "out.txt").write_text("a")

    stage = Stage(name="one", inputs={}, outputs=["out.txt"], run=run)
    RunFolder(tmp_path / "run").do(stage)
    stamp = tmp_path / "run/.stages/one.json"
    values = {**json.loads(stamp.read_text()), "key": "other", "outputs": {"../mine.txt": "0"}}
    del values["checksum"]
    stamp.write_text(json.dumps(with_checksum(values)))
    assert RunFolder(tmp_path / "run").do(stage)
    assert (tmp_path / "mine.txt").read_text() == "mine"
