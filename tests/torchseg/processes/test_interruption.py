from __future__ import annotations

import signal
import threading

import pytest

from torchseg.processes.interruption import interruptible


def _fail():
    raise RuntimeError("the pool is gone")


def test_after_a_signal_threads_that_fail_say_nothing(monkeypatch, capsys):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # and is put back
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    thread = threading.Thread(target=_fail)
    thread.start()
    thread.join()
    assert capsys.readouterr().err == ""
