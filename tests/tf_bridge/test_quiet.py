import logging
import os
import warnings

import pytest

from tf_bridge.quiet import quiet


def test_nothing_is_printed_logged_or_warned(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print("printed")
        os.write(2, b"from compiled code")
        logging.getLogger("somewhere").warning("logged")
        warnings.warn("warned", stacklevel=1)
    print("after")
    captured = capfd.readouterr()
    assert captured.out.strip() == "after"
    assert captured.err == ""


def fail_noisily() -> None:
    with quiet():
        os.write(2, b"the reason")
        raise RuntimeError("broken")


def test_an_exception_carries_what_was_swallowed() -> None:
    with pytest.raises(RuntimeError, match="broken") as caught:
        fail_noisily()
    assert caught.value.__notes__ == ["the reason"]


def test_logging_works_again_afterwards() -> None:
    with quiet():
        pass
    assert logging.getLogger("somewhere").isEnabledFor(logging.WARNING)


def test_a_library_that_sets_up_logging_meanwhile_leaves_no_dead_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    with quiet():
        logging.warning("to whom it may concern")  # sets logging up, with the stream that is swallowed
    logging.getLogger("somewhere").warning("still heard")
    assert capfd.readouterr().err == "still heard\n"
