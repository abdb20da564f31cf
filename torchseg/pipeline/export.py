"""Files for one trained network."""

from __future__ import annotations

from tf_bridge.precision import Precision
from torchseg.checkpoint import read_card
from torchseg.command import CHECK_FAILED, DONE
from torchseg.config import ExportConfig
from torchseg.pipeline.exporting import ARTIFACTS, export_certified
from torchseg.pipeline.pictures import open_pictures
from torchseg.pipeline.recorded import recorded_config, run_of


def export(config: ExportConfig) -> int:
    """Exports the checkpoint to every format and precision asked for; 1 if a certificate fails."""
    card = read_card(config.checkpoint)
    data = config if config.root else recorded_config(run_of(config.checkpoint))
    pictures = open_pictures(data)
    if pictures.spec != card.spec:
        raise ValueError(
            f"{config.checkpoint} was made for {card.spec.describe()}, but the data gives {pictures.spec.describe()}; "
            "give its own --data and --image_size"
        )
    out = config.out or config.checkpoint.parent / ARTIFACTS
    out.mkdir(parents=True, exist_ok=True)
    failed = False
    for kind, precision in config.files:
        path = out / f"{card.stage}.{precision}.{kind}"
        certificate = export_certified(config.checkpoint, path, pictures, precision=Precision(precision))
        agreement = certificate["differences"]["argmax_agreement"]
        failures = certificate["verdict"]["failures"]
        failed |= bool(failures)
        print(f"{path}: agrees on {100 * agreement:.3f} % of pixels; " + ("; ".join(failures) or "certified"))
    print(f"  next     python scripts/predict.py {path} PICTURE...")
    return CHECK_FAILED if failed else DONE
