"""The child process of a grid's job: `python -m torchseg.pipeline.grid.child JSON`; it ends with its parent.

All commands of a training run in one process, so libraries are imported only once. The commands' output is the job's
log. The child prints a line before and after each command with its name and exit code, which the parent reads.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence

from torchseg.processes.group import interrupt_self, kill_all
from torchseg.record import plain_json

BEGIN, END = "$ torchseg ", "[ended with "
DONE, CHECK_FAILED, STOPPED, CRASHED = 0, 1, 130, 70
PATIENCE_S = 10.0  # time for a process to end by itself before it is killed
_POLL_S = 0.1


def run_commands(commands: Sequence[Sequence[str]]) -> int:
    """Runs `torchseg NAME FLAGS...` for each command in turn and stops at the first error.

    A command whose check failed (exit code 1) is not an error.

    Returns:
        The exit code of the last command; 70 for an exception that the command does not handle.
    """
    from torchseg.__main__ import main
    from torchseg.harness.host import peak_memory_mb

    code = DONE
    for command in commands:
        print(f"{BEGIN}{shlex.join(command)}", flush=True)
        begin = time.monotonic()
        try:
            code = main(list(command))
        except SystemExit as error:  # raised by the flag parser
            code = error.code if isinstance(error.code, int) else CRASHED
        except Exception:
            traceback.print_exc(file=sys.stdout)
            code = CRASHED
        print(f"{END}{code} after {time.monotonic() - begin:.1f} s, peak {peak_memory_mb():.0f} MiB]", flush=True)
        if code not in (DONE, CHECK_FAILED):
            break
    return code


def _end_with_parent() -> None:
    """Ends this process when the parent does; the parent keeps the other end of standard input open while it lives.

    A parent that lives and closes it waits for this process, which may then end in order. Nobody waits for an orphan.
    """
    parent = os.getppid()
    os.read(0, 1)
    interrupt_self()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and os.getppid() == parent:
        time.sleep(_POLL_S)
    kill_all(os.getpid())  # or the interrupt was lost, e.g. because the main thread was just starting to wait


def main(arguments: Sequence[str]) -> int:
    """Runs the parent's commands for as long as the parent lives."""
    # A shell makes background jobs ignore SIGINT, and children inherit that: without this line, only a kill ends them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return run_commands(plain_json(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
