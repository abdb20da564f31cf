from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from torchseg.pipeline.search.nni.host import check_loopback_only

_LISTEN = (
    "import socket, sys, time; s = socket.create_server((sys.argv[1], 0)); print('up', flush=True); time.sleep(60)"
)


@pytest.mark.parametrize(("address", "open_door"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_child_may_listen_for_this_machine_alone(address, open_door):
    child = subprocess.Popen([sys.executable, "-c", _LISTEN, address], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"up\n"
        if open_door:
            with pytest.raises(RuntimeError, match=r"NNI listens on 0\.0\.0\.0:\d+, beyond this machine"):
                check_loopback_only(psutil.Process())
        else:
            check_loopback_only(psutil.Process())
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
