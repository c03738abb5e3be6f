"""What Lightning and torch bring along trains, by `_target_` alone: callbacks, loggers, optimisers and schedules."""

import importlib.util
import json
import zipfile

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning import callbacks
from safetensors.torch import load_file
from torch.optim import lr_scheduler

from aigc.config import ConfigError
from aigc.config.locate import conf_folder
from aigc.errors import InputError
from aigc.runs.metrics_file import read_lines
from tests.training.in_process import STEPS, attempt, begin, tiny_config, train, values
from tests.training.resumable import differences, final_state, rows

pytestmark = pytest.mark.slow

_CALLBACKS = {
    "EarlyStopping": {"monitor": "val/perplexity", "patience": 20},
    "LearningRateMonitor": {"logging_interval": "step"},
    "Timer": {"duration": "00:01:00:00"},
    "ModelSummary": {},
    "RichModelSummary": {},
    "EMAWeightAveraging": {"decay": 0.5},
    "RichProgressBar": {},
    "SpikeDetection": {"warmup": 20},
    "TQDMProgressBar": {},
}
_OPTIMIZERS = {
    "torch.optim": "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax NAdam RAdam RMSprop Rprop SGD",
    "aigc.optim": "Lion Muon",
}
_SCHEDULES = {
    "ConstantLR": {},
    "CosineAnnealingLR": {"T_max": STEPS},
    "CosineAnnealingWarmRestarts": {"T_0": 5},
    "CyclicLR": {"base_lr": 1e-3, "max_lr": 1e-2, "cycle_momentum": False},
    "ExponentialLR": {"gamma": 0.9},
    "LinearLR": {},
    "MultiStepLR": {"milestones": [3, 6]},
    "OneCycleLR": {"max_lr": 1e-2},
    "PolynomialLR": {"total_iters": STEPS},
    "ReduceLROnPlateau": {"patience": 0},
    "StepLR": {"step_size": 3},
}


def finished(run):
    """Whether a run has trained all steps and left its model."""
    assert list(values(run, "train/loss")) == list(range(1, STEPS + 1))
    assert (run.model / "model.safetensors").is_file()
    return run


@pytest.mark.parametrize("name", _CALLBACKS)
def test_callbacks_of_lightning(name, own_place):
    node = {"_target_": f"pytorch_lightning.callbacks.{name}", **_CALLBACKS[name]}
    run = finished(train(own_place, nodes={"callbacks.extra": node}))
    if name == "LearningRateMonitor":
        assert values(run, "lr-AdamW/matrices")
    assert list(values(run, "val/perplexity")) == [2, 4, 6, 8, 10]


def test_every_other_callback_of_lightning_is_refused_or_needs_code():
    taken = {*_CALLBACKS, "DeviceStatsMonitor"}
    refused = {
        "BackboneFinetuning",
        "BaseFinetuning",
        "BatchSizeFinder",
        "GradientAccumulationScheduler",
        "LearningRateFinder",
        "ModelCheckpoint",
        "ModelPruning",
        "OnExceptionCheckpoint",
        "StochasticWeightAveraging",
    }
    needs_code = {
        "BasePredictionWriter",
        "Callback",
        "Checkpoint",
        "LambdaCallback",
        "ProgressBar",
        "ThroughputMonitor",
        "WeightAveraging",
    }
    assert set(callbacks.__all__) <= taken | refused | needs_code


def test_device_statistics(own_place):
    node = {"_target_": "pytorch_lightning.callbacks.DeviceStatsMonitor"}
    if importlib.util.find_spec("psutil"):
        finished(train(own_place, nodes={"callbacks.extra": node}))
        return
    with pytest.raises(InputError, match="psutil"):
        train(own_place, nodes={"callbacks.extra": node})


@pytest.mark.parametrize("target", [f"{p}.{name}" for p, names in _OPTIMIZERS.items() for name in names.split()])
def test_optimisers(target, own_place):
    run = finished(train(own_place, nodes={"optimizer": {"_target_": target, "lr": 1e-2}}))
    losses = values(run, "train/loss")
    assert all(0 < loss < 10 for loss in losses.values())
    assert len(set(losses.values())) == STEPS


def test_every_other_optimiser_of_torch_is_refused(own_place):
    found = {
        name
        for name, one in vars(torch.optim).items()
        if isinstance(one, type) and issubclass(one, torch.optim.Optimizer) and one is not torch.optim.Optimizer
    }
    for name in found - set(_OPTIMIZERS["torch.optim"].split()):
        with pytest.raises(ConfigError, match=r"optimizer\._target_.*not supported"):
            tiny_config(own_place, nodes={"optimizer": {"_target_": f"torch.optim.{name}"}})


@pytest.mark.parametrize("name", _SCHEDULES)
def test_schedules_of_torch(name, own_place):
    node = {"_target_": f"torch.optim.lr_scheduler.{name}", **_SCHEDULES[name]}
    run = finished(train(own_place, nodes={"scheduler": node}))
    rates = values(run, "train/learning_rate")
    if name != "ReduceLROnPlateau":
        assert len(set(rates.values())) > 1


@pytest.mark.parametrize(
    "node",
    [{"_target_": "OneCycleLR", "max_lr": [1e-3, 1e-3, 2e-3]}, {"_target_": "ReduceLROnPlateau", "min_lr": [0.0] * 3}],
    ids=["OneCycleLR", "ReduceLROnPlateau"],
)
def test_a_schedule_with_a_value_for_each_group_of_parameters(node, own_place):
    node = node | {"_target_": f"torch.optim.lr_scheduler.{node['_target_']}"}
    finished(train(own_place, nodes={"scheduler": node}))


def test_every_other_schedule_of_torch_is_refused_or_of_another_kind():
    refused = {"ChainedScheduler", "LambdaLR", "MultiplicativeLR", "SequentialLR"}
    assert {name for name in lr_scheduler.__all__ if name != "LRScheduler"} == set(_SCHEDULES) | refused


def test_a_csv_file_in_the_run_folder_that_a_resumed_run_completes(own_place):
    cfg = tiny_config(own_place, nodes={"logger": OmegaConf.load(conf_folder() / "logger/csv.yaml")})
    run = begin(cfg, own_place)
    attempt(run, cfg, until=5)
    finished(attempt(run, cfg))
    path = run.path / "csv/metrics.csv"
    header, *lines = path.read_text().splitlines()
    steps = [int(line.split(",")[header.split(",").index("step")]) for line in lines]
    assert sorted(set(steps)) == list(range(1, STEPS + 1))
    assert "vocab" not in header
    assert (path.parent / "hparams.yaml").read_text().count("max_steps: 10") == 1


def test_an_absolute_folder_stays_and_runs_are_kept_apart(own_place):
    node = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": str(own_place / "all")}
    runs = [train(own_place, "trainer.max_steps=2", nodes={"logger.csv": node}) for _ in range(2)]
    assert {path.parent.name for path in (own_place / "all").rglob("metrics.csv")} == {run.id for run in runs}


@pytest.mark.parametrize("target", ["aigc.logger.TensorBoard", "pytorch_lightning.loggers.TensorBoardLogger"])
def test_tensorboard_has_the_config_and_each_step_once(target, own_place):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    node = {"_target_": target} | ({"save_dir": "tensorboard"} if "lightning" in target else {})
    cfg = tiny_config(own_place, nodes={"logger.tensorboard": node})
    run = begin(cfg, own_place)
    attempt(run, cfg, until=5)
    finished(attempt(run, cfg))
    (path,) = (run.path / "tensorboard").rglob("hparams.yaml")
    assert "max_steps: 10" in path.read_text()
    events = EventAccumulator(str(path.parent)).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, STEPS + 1))
    assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")


@pytest.mark.parametrize(("name", "package"), [("MLFlowLogger", "mlflow"), ("CometLogger", "comet_ml")])
def test_a_logger_whose_package_is_missing_is_refused_with_its_name(name, package, own_place):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises((InputError, ConfigError), match=package.removesuffix("_ml")):
        train(own_place, nodes={"logger.extra": {"_target_": f"pytorch_lightning.loggers.{name}"}})


def test_mlflow_has_every_step(own_place, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="an optional package")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = f"file:{own_place}/mlruns"
    finished(train(own_place, nodes={"logger.extra": _logger("MLFlowLogger", tracking_uri=uri)}))
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert [one.step for one in client.get_metric_history(run.info.run_id, "train/loss")] == list(range(1, STEPS + 1))


def test_comet_has_every_step(own_place, monkeypatch):
    comet = pytest.importorskip("comet_ml", reason="an optional package")
    monkeypatch.setenv("COMET_START_ONLINE", "false")  # online=False of Lightning's class records nothing
    finished(train(own_place, nodes={"logger.extra": _logger("CometLogger", offline_directory=str(own_place))}))
    comet.get_running_experiment().end()
    (archive,) = own_place.glob("*.zip")
    with zipfile.ZipFile(archive) as packed:
        assert packed.read("messages.json").count(b'"train/loss"') == STEPS


def _logger(name, **settings):
    return {"_target_": f"pytorch_lightning.loggers.{name}", **settings}


def test_one_row_for_each_step_though_several_callbacks_record(own_place):
    monitor = {"_target_": "pytorch_lightning.callbacks.LearningRateMonitor"}
    run = train(own_place, nodes={"callbacks.lr": monitor})
    steps = [row["step"] for row in read_lines(run.path / "metrics.jsonl")]
    assert steps == sorted(set(steps))
    frame = run.metrics()
    trained = frame[frame["step"] > 0]
    assert trained[["train/loss", "train/tokens_per_second"]].notna().all(axis=None)
    assert json.loads((run.path / "manifest.json").read_text())["metrics"]


def test_averaged_weights_are_validated_saved_and_resumed(own_place):
    """With a decay near 1 the averaged weights stay where they were, while training goes on."""
    node = {"_target_": "pytorch_lightning.callbacks.EMAWeightAveraging", "decay": 0.999999}
    cfg = tiny_config(own_place, "optimizer.lr=0.02", nodes={"callbacks.ema": node})
    whole, stopped = attempt(begin(cfg, own_place), cfg), begin(cfg, own_place)
    measured = values(whole, "val/perplexity")
    assert max(measured.values()) - min(measured.values()) < 1e-2
    assert values(whole, "train/loss")[STEPS] < values(whole, "train/loss")[1] - 0.1
    for until in (3, 4):
        attempt(stopped, cfg, until=until)
    attempt(stopped, cfg)
    for name in ("train/loss", "val/perplexity"):
        assert values(stopped, name) == values(whole, name)
    models = [load_file(run.model / "model.safetensors") for run in (whole, stopped)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.parametrize("choice", ["sgd", "muon", "adafactor", "lion"])
def test_choices_of_an_optimiser_resume_exactly(choice, own_place):
    node = OmegaConf.to_container(OmegaConf.load(conf_folder() / f"optimizer/{choice}.yaml"))
    cfg = tiny_config(own_place, "callbacks.throughput=null", nodes={"optimizer": node})
    whole, stopped = attempt(begin(cfg, own_place), cfg), begin(cfg, own_place)
    attempt(stopped, cfg, until=5)
    attempt(stopped, cfg)
    assert rows(finished(stopped).path) == rows(whole.path)
    assert not differences(final_state(stopped.path), final_state(whole.path))
