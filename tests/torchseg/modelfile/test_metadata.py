import json

from torchseg.modelfile.metadata import metadata
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec


def test_a_file_says_how_to_feed_it_and_what_its_classes_are(spec: ImageSpec) -> None:
    entries = metadata(spec, layout="NHWC", precision=Precision.INT8)
    assert json.loads(entries["torchseg.classes"]) == list(spec.classes)
    assert json.loads(entries["torchseg.mean"]) == list(spec.mean)
    assert (entries["torchseg.layout"], entries["torchseg.precision"]) == ("NHWC", "int8")
    assert entries["torchseg.colour_order"] == "RGB"
