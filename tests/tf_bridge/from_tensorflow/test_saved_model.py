"""A SavedModel with an operator that can do harm is refused before anything of it runs."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tf_bridge.from_tensorflow.convert import from_tensorflow
from tf_bridge.from_tensorflow.operators import ALLOWED, OF_CHECKPOINTS
from tf_bridge.from_tensorflow.saved_model import check_saved_model
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.quiet import quiet
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
SPEC = ImageSpec(height=8, width=12, classes=("background", "body", "rim"))
HARMFUL = re.compile(
    r"File|PyFunc|Save|Restore|Record|Reader|Dataset|Iterator|Rpc|Send|Recv|Remote|Host|Summary|Print|Debug|Dump|"
    r"Immutable|Table|Queue|Decode|Encode|Sql|Session|Tpu|TPU|Xla|Collective|Nccl|Checkpoint|Custom|Sleep|Stage"
)


@pytest.fixture(scope="module")
def tf():
    for name in ("tensorflow", "tf2onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install '.[tf]'")
    return import_tensorflow()


@pytest.fixture
def saved(tf, tmp_path):
    """Saves a convolution in which `extra` is called with the image, as a SavedModel."""

    def save(extra=lambda photo: None):
        module = tf.Module()
        module.kernel = tf.Variable(np.ones((3, 3, 3, 3), np.float32))

        @tf.function(input_signature=[tf.TensorSpec((None, 8, 12, 3), tf.float32)], autograph=False)
        def serve(photo):
            extra(photo)
            return tf.nn.conv2d(photo, module.kernel, 1, "SAME")

        with quiet():
            tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"serving_default": serve})
        return tmp_path / "saved"

    return save


@pytest.fixture
def changed(tf):
    """Changes the protocol buffer of a SavedModel."""

    def change(folder, edit):
        proto = tf.__internal__.saved_model.parse_saved_model(str(folder))
        edit(proto.meta_graphs[0])
        (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
        return folder

    return change


def test_a_network_is_accepted(tf, saved):
    check_saved_model(tf, saved())


def test_an_operator_that_writes_files_is_refused_and_has_not_run(tf, saved, tmp_path):
    folder = saved(lambda photo: tf.io.write_file(str(tmp_path / "attacked"), "x"))
    with pytest.raises(ValueError, match=r"saved has the operators WriteFile, which .* nothing of the model has run"):
        from_tensorflow(folder, tmp_path / "net.onnx", SPEC, notes={})
    assert not (tmp_path / "attacked").exists()
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize(
    "name",
    [
        "ReadFile",
        "EagerPyFunc",
        "PrintV2",
        "TFRecordDatasetV2",
        "MatchingFiles",
        "RpcCall",
        "_HostSend",
        "DebugIdentity",
        "ImmutableConst",
        "InitializeTableFromTextFileV2",
        "SaveSlices",
        "WriteSummary",
    ],
)
def test_operators_that_reach_out_are_refused(name, tf, saved, changed):
    def edit(meta):
        meta.graph_def.library.function[0].node_def.add(name="more", op=name)

    with pytest.raises(ValueError, match=rf"saved has the operators {name}, which"):
        check_saved_model(tf, changed(saved(), edit))


@pytest.mark.parametrize("name", ["SaveV2", "RestoreV2"])
def test_a_network_that_saves_or_restores_by_itself_is_refused(name, tf, saved):
    options = {"tensors": [1]} if name == "SaveV2" else {"dtypes": [tf.int32]}

    def extra(photo):
        getattr(tf.raw_ops, name)(prefix="attacked", tensor_names=["a"], shape_and_slices=[""], **options)

    with pytest.raises(ValueError, match=rf"saved has the operators {name}, which belong to the saving of variables"):
        check_saved_model(tf, saved(extra))


def test_an_operator_in_a_branch_of_a_function_is_found(tf, saved):
    def extra(photo):
        tf.cond(photo[0, 0, 0, 0] > 1e9, lambda: tf.io.write_file("attacked", "x"), lambda: tf.no_op())

    with pytest.raises(ValueError, match="WriteFile"):
        check_saved_model(tf, saved(extra))


def test_an_operator_outside_of_functions_is_found(tf, saved, changed):
    folder = changed(saved(), lambda meta: meta.graph_def.node.add(name="x", op="WriteFile"))
    with pytest.raises(ValueError, match="WriteFile"):
        check_saved_model(tf, folder)


def test_an_operator_that_nobody_knows_is_refused_and_many_are_counted(tf, saved, changed):
    def edit(meta):
        for number in range(8):
            meta.graph_def.node.add(name=f"n{number}", op=f"Unheard{number}")

    with pytest.raises(ValueError, match=r"the operators Unheard0, Unheard1, .*Unheard4 and 3 more, which"):
        check_saved_model(tf, changed(saved(), edit))


def test_a_resource_cannot_be_made_by_the_function_that_saves_variables(tf, saved, changed):
    """Opening a model calls functions that its objects name; they could be those that write a checkpoint."""

    def edit(meta):
        names = [each.signature.name for each in meta.graph_def.library.function]
        (saving,) = [name for name in names if "traced_save" in name]
        meta.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = saving

    with pytest.raises(ValueError, match=r"SaveV2.*, which belong to the saving of variables, and here may reach"):
        check_saved_model(tf, changed(saved(), edit))


def test_a_model_without_objects_is_searched_from_its_signatures(tf, saved, changed):
    def without_objects(meta):
        meta.ClearField("object_graph_def")

    folder = changed(saved(), without_objects)
    check_saved_model(tf, folder)

    def saves_while_restoring(meta):
        meta.graph_def.node.add(name="restore", op="NoOp", input=["^save"])
        meta.graph_def.node.add(name="save", op="SaveV2")
        meta.saver_def.restore_op_name = "restore"

    with pytest.raises(ValueError, match="SaveV2"):
        check_saved_model(tf, changed(folder, saves_while_restoring))

    def saves(meta):
        meta.saver_def.restore_op_name = ""
        call = next(node for node in meta.graph_def.node if "traced_save" in node.attr["f"].func.name)
        (output,) = meta.signature_def["serving_default"].outputs.values()
        output.name = f"{call.name}:0"

    with pytest.raises(ValueError, match="SaveV2"):
        check_saved_model(tf, changed(folder, saves))


def test_every_operator_of_the_list_exists_and_none_reaches_out(tf):
    from tensorflow.python.framework import op_def_registry

    assert [name for name in ALLOWED | OF_CHECKPOINTS if op_def_registry.get(name) is None] == []
    assert sorted(filter(HARMFUL.search, ALLOWED)) == []
    assert not ALLOWED & OF_CHECKPOINTS


def test_what_tf2onnx_translates_is_allowed_but_for_texts_tables_and_queues(tf):
    import tf2onnx.tfonnx  # noqa: F401 - registers its translations
    from tensorflow.python.framework import op_def_registry
    from tf2onnx.handler import tf_op

    known = {name for versions in tf_op.get_opsets().values() for each in versions for name in each}
    left = {name for name in known - ALLOWED if op_def_registry.get(name)}
    assert {
        name for name in left if not re.search(r"String|Table|Queue|Iterator|Sparse|Reduce|Regex|CTC|Dense", name)
    } == set()


def test_a_network_of_keras_layers_is_accepted(tf, tmp_path):
    layers = tf.keras.layers
    image = layers.Input((8, 12, 3))
    value = layers.RandomFlip()(layers.Rescaling(1 / 255)(image))
    value = layers.Dropout(0.1)(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(value)))
    value = layers.Activation("swish")(layers.DepthwiseConv2D(3, padding="same", depthwise_regularizer="l2")(value))
    value = layers.UpSampling2D(interpolation="bilinear")(layers.MaxPool2D()(value))
    with quiet():
        network = tf.keras.Model(image, layers.Softmax()(layers.Conv2DTranspose(3, 3, padding="same")(value)))
        network.export(str(tmp_path / "exported"), verbose=False)
    check_saved_model(tf, tmp_path / "exported")
