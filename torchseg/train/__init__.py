"""One training loop for supervised training, distillation and recovery after compression."""

from torchseg.train.callback import Callback, NoCallback
from torchseg.train.evaluate import evaluate
from torchseg.train.loop import FitConfig, Task, fit, normalise
from torchseg.train.precision import MixedPrecision, TrainingPrecision, choose_precision
from torchseg.train.state import Progress, Row, discard_progress
from torchseg.train.steps import DistillationConfig, Loss, Step, Teacher, distill_step, label_step

__all__ = [
    "Callback",
    "DistillationConfig",
    "FitConfig",
    "Loss",
    "MixedPrecision",
    "NoCallback",
    "Progress",
    "Row",
    "Step",
    "Task",
    "Teacher",
    "TrainingPrecision",
    "choose_precision",
    "discard_progress",
    "distill_step",
    "evaluate",
    "fit",
    "label_step",
    "normalise",
]
