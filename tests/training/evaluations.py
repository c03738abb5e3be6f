"""Evaluations and runs of a moment that the tests of evaluation share."""

from typing import Annotated, Any

from aigc.config.types import Slot
from aigc.evaluation import Evaluation
from aigc.metrics.text import TextMetric
from aigc.tasks import Task
from tests.training.helpers import sgd_task, text_data, tiny_model, trainer

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少", "白日依山盡", "黃河入海流"]
BLEU = {"_target_": "aigc.metrics.text.BLEU"}
FID = {"_target_": "aigc.metrics.image.FrechetDistance"}


class Norm(Evaluation):
    """A new kind of evaluation: the norm of the weights, between steps."""

    measure_class = TextMetric
    at_validation = False

    def __init__(self, metrics: Annotated[dict[str, Any], Slot("aigc.metrics.text.scorer.TextMeasure", named=True)]):
        super().__init__(metrics, every_n_steps=2, at_start=True)
        self.steps: list[int] = []

    def evaluate(self, trainer: Any, module: Task) -> None:
        self.steps.append(module.steps_done)
        norm = float(sum(weight.square().sum() for weight in module.parameters()))
        self.record(module, {"norm": norm}, {"norm": "sum of squares"})


def fit(folder, task, data, *evaluations, **settings):
    made = trainer(folder, callbacks=list(evaluations), **{"max_steps": 1, **settings})
    made.fit(task, datamodule=data)
    return made


def language_run(folder):
    data = text_data(folder, TEXTS)
    return sgd_task(tiny_model(data)), data
