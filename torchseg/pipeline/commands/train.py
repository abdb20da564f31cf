"""The train command: trains one network with labels."""

from __future__ import annotations

import time

from torchseg.checkpoint import read_card
from torchseg.cli import DONE, other_command
from torchseg.config import TrainConfig
from torchseg.models import parse_arguments, pretrained_scaling
from torchseg.pipeline.run.dataset import cached_pictures, check_stage, open_pictures
from torchseg.pipeline.run.session import open_session
from torchseg.pipeline.stages.training import STUDENT_STEPS, NetworkSpec, Trainer, check_loss, check_network


def train(config: TrainConfig) -> int:
    """Trains the network unless that is already done; writes its checkpoint to `OUT/trained`."""
    started = time.monotonic()
    arguments = parse_arguments(config.model_arguments)
    pictures = open_pictures(config).scaled(pretrained_scaling(config.model, arguments))
    check_network(config.model, pictures.spec, arguments=arguments)
    check_loss(config, pictures.spec)
    with open_session(config) as session:
        config, folder, fabric = session.config, session.folder, session.fabric
        check = check_stage(pictures, config, writes=fabric.is_global_zero)
        folder.do(check, writes=fabric.is_global_zero, wait=fabric.barrier)
        trainer = Trainer(config, cached_pictures(pictures, folder.path), folder, fabric)
        epochs = trainer.epochs(config.epochs, steps=STUDENT_STEPS)
        network = NetworkSpec(stage="trained", model=config.model, arguments=arguments, epochs=epochs)
        ran = folder.do(trainer.with_labels(network), writes=fabric.is_global_zero, wait=fabric.barrier)
        if fabric.is_global_zero:
            checkpoint = folder.path / "trained"
            miou = read_card(checkpoint).metrics["val_miou"]
            done = f"Trained in {time.monotonic() - started:.0f} s" if ran else "Nothing to do"
            print(f"{done}: {checkpoint} has {100 * miou:.2f} % mean IoU on the validation part.")
            print(f"  next     {other_command('export')} {checkpoint}")
    return DONE
