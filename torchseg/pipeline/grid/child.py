"""The child's side of a grid's job: `python -m torchseg.pipeline.grid.child JSON`, which ends with its parent.

Libraries are imported once for all commands of a training. What they print is the job's log; a line before and after
each says what ran and how it ended, which is how the parent knows.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence

from torchseg.process_group import interrupt_self, kill_all

BEGIN, END = "$ torchseg ", "[ended with "
DONE, CHECK_FAILED, STOPPED, CRASHED = 0, 1, 130, 70
PATIENCE_S = 10.0  # what a process gets to end by itself


def run_commands(commands: Sequence[Sequence[str]]) -> int:
    """Runs `torchseg NAME FLAGS...` one after the other, up to the first that fails; a failed check is none.

    Returns:
        The exit code of the last one; 70 for an exception that no command ends with.
    """
    from torchseg.__main__ import main
    from torchseg.harness.host import peak_memory_mb

    code = DONE
    for command in commands:
        print(f"{BEGIN}{shlex.join(command)}", flush=True)
        begin = time.monotonic()
        try:
            code = main(list(command))
        except SystemExit as error:  # the parser of flags leaves this way
            code = error.code if isinstance(error.code, int) else CRASHED
        except Exception:
            traceback.print_exc(file=sys.stdout)
            code = CRASHED
        print(f"{END}{code} after {time.monotonic() - begin:.1f} s, peak {peak_memory_mb():.0f} MiB]", flush=True)
        if code not in (DONE, CHECK_FAILED):
            break
    return code


def _end_with_parent() -> None:
    """The parent holds the other end of standard input open for as long as it lives."""
    os.read(0, 1)
    interrupt_self()
    time.sleep(PATIENCE_S)
    kill_all(os.getpid())  # still here: whatever began to wait just then does not hear an interrupt


def main(arguments: Sequence[str]) -> int:
    """Runs what the parent asks for, for as long as the parent lives."""
    # A shell has what it puts into the background ignore Ctrl-C; that is handed down, and would make every end a kill.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return run_commands(json.loads(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
