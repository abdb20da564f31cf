"""What the commands do, as functions for a script or a notebook.

    import torchseg

    data = torchseg.open_data("folder", root="mine", image_size=128)
    teacher = torchseg.train("attention_unet", data)
    student = torchseg.train("small_unet", data, teacher=teacher)
    report = torchseg.compress(student, data, sparsity=0.6, clusters=6)
    files = torchseg.export(report.network, data, formats=["onnx", "tflite"], precisions=["int8"])
    table = torchseg.score([*files, student, "theirs.tflite"], data)
    print(table)

The functions run the same stages as the commands and write the same folders, so either goes on where the other stopped:
`runs/folder-small_unet/student` of this example is a checkpoint for `scripts/export.py`, and `torchseg.load` opens
what `scripts/distill.py` left. A second call with the same arguments trains nothing, and just opens what is there.

A function works on the checkpoint of the network that it is given, not on the module in memory. It refuses a network
whose weights are no longer those in its folder.

Wrong input raises ValueError, with the message that the command would end with. A check that fails raises nothing: the
result has `failures`. While they work, functions show the progress that the commands show, and leave out their closing
lines; the results say the same.

Options have the names and defaults of the flags. What a flag takes as words or numbers with commas (`Listed` below) may
be a list here, and what it takes as NAME=VALUE pairs (`Named`) a dictionary.

The commands set `GOMP_SPINCOUNT=10000` before PyTorch is imported, which helps on a machine that has other work; importing
this package sets nothing, so set it yourself before you start Python there.
"""

from torchseg.api.data import Data, open_data
from torchseg.api.files import ExportedFile, ScoreTable, export, score
from torchseg.api.network import Network, load
from torchseg.api.training import CompressionReport, compress, train

__all__ = [
    "CompressionReport",
    "Data",
    "ExportedFile",
    "Network",
    "ScoreTable",
    "compress",
    "export",
    "load",
    "open_data",
    "score",
    "train",
]
