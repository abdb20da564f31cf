"""Exports networks at every precision in both formats and says which files pass their certificate, as a table.

python benchmarks/export_matrix.py --data oxford-pet --root FOLDER --sizes 96 160,224 256

Batch norm sees real pictures first, and with --steps the network learns a little: the classes of a random network are
near ties at every pixel, which says nothing about a file. Dynamic and int8 files pass by the mean IoU that they lose
against the masks; the agreement beside it is no condition of theirs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tf_bridge.conversion import Conversion
from tf_bridge.parity import Parity, compare, verdict
from tf_bridge.precision import Precision
from torchseg.config import FORMATS, DataConfig
from torchseg.data import resize
from torchseg.harness.runtime import open_runtime
from torchseg.models import MODELS, build_model, fold_branches
from torchseg.pipeline.pictures import Pictures, open_pictures

SMP: dict[str, dict[str, Any]] = {
    "smp:Unet:resnet18": {},
    "smp:Unet:mobilenet_v2": {"decoder_attention_type": "scse"},
    "smp:Unet:timm-tf_efficientnet_lite0": {},
}
JUDGED_ON, CALIBRATED_WITH = 16, 32


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="scenes")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["96"])
    parser.add_argument("--models", nargs="+", default=[*MODELS, *SMP])
    parser.add_argument("--precisions", nargs="+", default=[str(precision) for precision in Precision])
    parser.add_argument("--steps", type=int, default=0)
    arguments = parser.parse_args(argv)
    print("| network | size | file | passes | agreement % | mIoU drop, points | largest error, % of range | bytes |")
    print("|---|---|---|---|---|---|---|---|")
    failed = False
    for size in arguments.sizes:
        pictures = open_pictures(DataConfig(data=arguments.data, root=arguments.root, image_size=size))
        for name in arguments.models:
            conversion = Conversion(_prepared(name, pictures, steps=arguments.steps), pictures.spec)
            for precision in arguments.precisions:
                for kind in FORMATS:
                    failed |= _row(name, conversion, pictures, kind, Precision(precision))
    return int(failed)


def _prepared(name: str, pictures: Pictures, *, steps: int) -> nn.Module:
    """A network with statistics of real pictures, after some steps of training."""
    network = build_model(name, SMP.get(name, {}), pictures.spec).train()
    images, masks = _arrays(pictures, pictures.train, 8 * max(steps, 4))
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    for start in range(0, len(images), 8):
        part = slice(start, start + 8)
        with torch.set_grad_enabled(steps > 0):
            logits = network(torch.from_numpy(images[part]))
        if steps:
            truth = torch.from_numpy(masks[part]).long()
            loss = nn.functional.cross_entropy(logits, truth, ignore_index=pictures.spec.ignore_index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    fold_branches(network.eval())
    return network


def _row(name: str, conversion: Conversion, pictures: Pictures, kind: str, precision: Precision) -> bool:
    """Prints what became of one file; whether it failed."""
    start = f"| {name} | {pictures.spec.height}x{pictures.spec.width} | {precision} {kind} |"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"net.{kind}"
        try:
            parity = _judge(conversion, pictures, path, precision)
        except ValueError as error:
            print(f"{start} no: {error} | | | | |", flush=True)
            return True
        failures = verdict(parity, precision)
        error = (parity.max_abs_error or 0.0) / parity.logit_range
        numbers = f"{100 * parity.argmax_agreement:.3f} | {100 * parity.miou_drop:.3f} | {100 * error:.4f}"
        print(f"{start} {'; '.join(failures) or 'yes'} | {numbers} | {path.stat().st_size:,} |", flush=True)
    return bool(failures)


def _judge(conversion: Conversion, pictures: Pictures, path: Path, precision: Precision) -> Parity:
    calibration = _arrays(pictures, pictures.train, CALIBRATED_WITH)[0] if precision is Precision.INT8 else None
    conversion.write(path, precision=precision, calibration=calibration)

    def reference(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return conversion.model(torch.from_numpy(images)).numpy()

    images, masks = _arrays(pictures, pictures.validation, JUDGED_ON)
    return compare(reference, open_runtime(path).predict, images, masks, num_classes=pictures.spec.num_classes)


def _arrays(pictures: Pictures, part: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    spec = pictures.spec
    samples = [resize(part[index % len(part)], height=spec.height, width=spec.width) for index in range(count)]
    return spec.prepare(np.stack([each.picture for each in samples])), np.stack([each.mask for each in samples])


if __name__ == "__main__":
    sys.exit(main())
