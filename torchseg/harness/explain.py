"""Says in plain sentences why a file is as large and as slow as its row in scores.csv shows."""

from __future__ import annotations

from torchseg.harness.run_record import Row, number


def explain(row: Row) -> list[str]:
    """The known causes that apply to one row of scores.csv, each with what to do about it; empty if none does."""
    if row.get("error"):
        return []
    arithmetic, fast_path = row.get("arithmetic", ""), row.get("fast_path", "") or "the fast path"
    sparsity = number(row, "sparsity") or 0.0
    leftovers = row.get("leftovers", "").split()
    findings = {
        "Its half-precision weights are expanded to float32 at load: it saves bytes on disk and no time.": (
            arithmetic == "float32 from float16"
        ),
        "Its 8-bit weights are expanded to float32 at load: it saves bytes on disk and no time.": (
            arithmetic == "float32 from int8"
        ),
        "ONNX Runtime has no fast kernel for dynamically quantized convolutions: expect it to be slower than fp32; "
        "export int8 with calibration instead.": arithmetic == "int8 (dynamic)" and row.get("runtime") == "onnxruntime",
        f"{len(leftovers)} operators fell out of {fast_path} ({', '.join(sorted(set(leftovers)))}): every one costs "
        "a copy out and back in; replace them or use a static shape.": bool(leftovers),
        f"{100 * sparsity:.0f} % of its weights are zero: that makes it compress better and run no quicker; "
        "remove whole channels for speed.": sparsity >= 0.3,
        "Its median time is far above its minimum: something else used the machine, so trust the minimum and time "
        "it again.": row.get("noisy") == "true",
    }
    return [sentence for sentence, applies in findings.items() if applies]
