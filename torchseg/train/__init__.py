"""One training loop for supervised training, distillation and recovery after compression."""

from torchseg.train.callback import Callback, NoCallback
from torchseg.train.evaluate import evaluate
from torchseg.train.loop import FitConfig, Task, fit, normalise
from torchseg.train.lr_schedule import SCHEDULES
from torchseg.train.precision import MixedPrecision, TrainingPrecision, choose_precision
from torchseg.train.state import Progress, Row, discard_progress
from torchseg.train.steps import Loss, Step, distill_step, label_step
from torchseg.train.teacher import Teacher

__all__ = [
    "SCHEDULES",
    "Callback",
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
