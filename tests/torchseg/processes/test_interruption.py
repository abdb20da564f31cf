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


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of POSIX")
def test_a_terminal_that_closes_stops_a_command_unless_it_ignores_that():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored where the tests run under nohup
    try:
        with pytest.raises(KeyboardInterrupt), interruptible() as interruption:
            signal.raise_signal(signal.SIGHUP)
        assert interruption.exit_code == 128 + signal.SIGHUP == 129
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        with interruptible() as interruption:
            signal.raise_signal(signal.SIGHUP)
        assert not interruption.came
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_whose_terminal_is_gone_stops_in_silence(monkeypatch):
    class Gone:
        def write(self, text):
            raise OSError("the terminal is gone")

    monkeypatch.setattr("sys.stderr", Gone())
    with interruptible() as interruption:
        interruption.tell()
    assert interruption.is_told
