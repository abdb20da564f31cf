from __future__ import annotations

from torchseg.harness import host


def test_a_processor_without_a_model_name_goes_by_its_architecture(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nCPU implementer\t: 0x41\n")  # Linux on ARM
    monkeypatch.setattr(host, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert host.cpu_name() == "aarch64"
