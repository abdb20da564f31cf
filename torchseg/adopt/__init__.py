"""Networks trained elsewhere: reads their weights without running code, and finds the layers they belong to."""

from torchseg.adopt.module import source_of_module
from torchseg.adopt.network import STAGE, Adopted, Source, adopt_network
from torchseg.adopt.weights_file import WeightsFile, read_weights

__all__ = ["STAGE", "Adopted", "Source", "WeightsFile", "adopt_network", "read_weights", "source_of_module"]
