"""What the commands do, as functions for a script or a notebook.

    import torchseg

    data = torchseg.open_data("folder", root="mine", image_size=128)
    teacher = torchseg.train("attention_unet", data)
    student = torchseg.train("small_unet", data, teacher=teacher)
    report = torchseg.compress(student, data, sparsity=0.6, clusters=6)
    files = torchseg.export(report.network, data, formats=["onnx", "tflite"], precisions=["int8"])
    table = torchseg.score([*files, student, "theirs.tflite"], data)
    print(table)

The functions run the same stages as the commands and write the same run folders, so each resumes what the other
started: `runs/folder-small_unet/student` of this example is a checkpoint for `scripts/export.py`, and `torchseg.load`
opens what `scripts/distill.py` trained. Calling `train` or `compress` again with the same arguments loads the result.

A function reads the checkpoint of the network it is given, not the module in memory. It raises ValueError if their
weights differ.

Wrong input raises ValueError with the message that the command would print. A file that fails its check raises nothing:
the reason is listed in `failures` of the result. The functions show the progress of the commands, but not their closing
summary, which the result holds. Like the commands, they set the number of threads of PyTorch, and write a log to the
run folder.

Options have the names and defaults of the flags. Where a flag takes values separated by commas (`Listed` below), a list
will do, and where it takes NAME=VALUE pairs (`Named`), a dictionary will.

The commands set the environment variable `GOMP_SPINCOUNT=10000` before PyTorch is imported, which can make training
faster on a busy machine. Importing this package sets no variable: set it before Python starts.
"""

from torchseg.api.adoption import adopt
from torchseg.api.data import Data, open_data
from torchseg.api.files import ExportedFile, ScoreTable, export, score
from torchseg.api.network import Network, load
from torchseg.api.training import CompressionReport, compress, train
from torchseg.trusted_code import trust as trust_code

__all__ = [
    "CompressionReport",
    "Data",
    "ExportedFile",
    "Network",
    "ScoreTable",
    "adopt",
    "compress",
    "export",
    "load",
    "open_data",
    "score",
    "train",
    "trust_code",
]
