"""The installed command: `torchseg NAME ...` does what `python scripts/NAME.py ...` does in the repository."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from torchseg.cli.help_page import version_text
from torchseg.spec import nearest

COMMANDS = {
    "distill": "the whole chain: teacher, student, prune, cluster, export, certificates, scores, report",
    "train": "one network with labels",
    "adopt": "a network trained elsewhere becomes a checkpoint of this project",
    "compress": "prune and cluster a trained network, remove its channels",
    "prepare": "check a data set, show its classes, write a smaller copy",
    "export": "a trained network to ONNX, TFLite and Keras, each file with its certificate",
    "import_tf": "a TensorFlow model to ONNX, certified against the original",
    "verify": "make the certificates again and compare",
    "score": "the table across runtimes, of a run or of any files",
    "predict": "masks for images or folders",
    "report": "build the report of a run again",
    "grid": "every combination of a recipe's factors, as one table",
    "students": "size and speed of the students on this machine, before any training",
    "search": "hyper-parameters of the student, for accuracy within a budget",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that the first argument names; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: torchseg COMMAND [FLAGS]\n\n" + "\n".join(f"  {name:11}{what}" for name, what in COMMANDS.items())
        )
        return 0
    name = arguments[0]
    if name == "--version":
        print(version_text())
        return 0
    if name not in COMMANDS:
        print(f"error: there is no command '{name}'{nearest(name, COMMANDS)}; see torchseg --help", file=sys.stderr)
        return 2
    command = importlib.import_module(f"torchseg.scripts.{name}")
    return int(command.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main())
