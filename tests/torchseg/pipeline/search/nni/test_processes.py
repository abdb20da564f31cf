from __future__ import annotations

import os
import subprocess
import sys
import uuid

from torchseg.pipeline.search.nni.processes import end_marked, marked_processes

_PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


def test_an_orphan_that_ignores_a_polite_request_is_found_and_ended(monkeypatch):
    monkeypatch.setattr("torchseg.pipeline.search.nni.processes._PATIENCE_S", 0.5)
    token = uuid.uuid4().hex
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, _STUBBORN], env=os.environ | {"MARK": token}, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout.readline() == b"up\n"
        parent.wait()
        assert len(marked_processes("MARK", token)) == 1
        end_marked("MARK", token)
    assert marked_processes("MARK", token) == []
