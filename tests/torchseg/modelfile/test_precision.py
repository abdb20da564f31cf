from torchseg.modelfile.precision import Precision


def test_precisions_are_written_as_on_the_command_line() -> None:
    assert [str(precision) for precision in Precision] == ["fp32", "fp16", "dynamic", "int8"]
