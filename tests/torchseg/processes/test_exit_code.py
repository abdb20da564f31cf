from __future__ import annotations

import pytest

from torchseg.processes.exit_code import cause_of_end


@pytest.mark.parametrize(
    ("code", "cause"),
    [(2, "exit code 2"), (-11, "SIGSEGV"), (-63, "signal 63"), (0xC0000005, "exit code 0xc0000005")],
)
def test_an_exit_code_says_why_a_process_ended(code, cause):
    assert cause_of_end(code) == cause
