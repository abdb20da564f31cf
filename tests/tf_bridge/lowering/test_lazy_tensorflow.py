from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from tf_bridge.lowering.lazy_tensorflow import import_tensorflow


@pytest.fixture
def tensorflow(monkeypatch):
    """Stands in for TensorFlow and notes which devices it may see."""
    visible = {"CPU": ["cpu"], "GPU": ["gpu"]}
    config = SimpleNamespace(set_visible_devices=lambda devices, kind: visible.update({kind: devices}))
    module = SimpleNamespace(config=config, visible=visible)
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    return module


def test_a_gpu_is_left_to_pytorch(tensorflow):
    assert import_tensorflow().visible == {"CPU": ["cpu"], "GPU": []}


def test_a_tensorflow_that_computes_already_is_left_alone(tensorflow):
    def refuse(devices, kind):
        raise RuntimeError("visible devices cannot be modified after being initialized")

    tensorflow.config.set_visible_devices = refuse
    assert import_tensorflow().visible["GPU"] == ["gpu"]
