"""The message of a run that is out of memory."""

import pytest
import torch
from omegaconf import OmegaConf

from aigc.config import check, compose
from aigc.errors import is_out_of_memory
from aigc.evaluation import ImageGeneration, TextGeneration
from aigc.generation.sampling import Sampling
from aigc.launch.memory import advice
from aigc.tasks import Task


def really_out_of_memory() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    return caught.value


def test_the_allocator_of_this_machine_is_known():
    assert is_out_of_memory(really_out_of_memory())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=repr,
)
def test_out_of_memory_is_known_also_as_the_cause_of_another_error(error):
    assert is_out_of_memory(error)
    other = ValueError("the step failed")
    other.__cause__ = RuntimeError("in between")
    assert not is_out_of_memory(other)
    other.__cause__.__cause__ = error
    assert is_out_of_memory(other)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered"),
        ValueError("out of memory"),
        OSError(28, "No space left on device"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_are_none(error):
    assert not is_out_of_memory(error)


def typed(message: str) -> list[str]:
    return [word for word in message.split() if "=" in word]


def keys(message: str) -> list[str]:
    return [word.partition("=")[0] for word in typed(message)]


def test_a_language_model_gets_overrides_that_compose():
    cfg = compose(["trainer.precision=32-true"])
    message = advice(cfg, really_out_of_memory())
    expected = ["data.batch_size", "trainer.accumulate_grad_batches", "trainer.precision", "data.sequence_length"]
    assert keys(message) == expected
    changed = compose(typed(message))
    assert (changed.data.batch_size, changed.trainer.accumulate_grad_batches) == (4, 2)
    assert (cfg.data.batch_size, cfg.trainer.accumulate_grad_batches) == (8, 1)


def test_a_gan_gets_advice_that_fits():
    batch = ["data.batch_size=48", "data.batches_per_step=2", "task.n_critic=2", "trainer.precision=32-true"]
    command = ["experiment=gan/letters", *batch]
    message = advice(compose(command), really_out_of_memory())
    assert keys(message) == ["task.micro_batches", "data.batch_size", "trainer.precision"]
    check(compose([*command, *typed(message)]))
    odd = advice(compose([*command, "data.batch_size=3"]), really_out_of_memory())
    assert keys(odd) == ["data.batch_size", "trainer.precision"]


class OwnTask(Task):
    """A task with its own advice."""

    @classmethod
    def memory_advice(cls, cfg):
        return ["task.width=4 (now 8)"]


def test_a_task_gives_its_own_advice(monkeypatch):
    monkeypatch.setattr("aigc.config.trust._named", [__name__.partition(".")[0]])
    cfg = OmegaConf.create({"task": {"_target_": f"{__name__}.OwnTask"}, "data": {"batch_size": 8}})
    assert advice(cfg, MemoryError()) == "try task.width=4 (now 8)"


def test_a_batch_of_an_odd_size_is_about_the_same():
    settings = {"data": {"batch_size": 5}, "trainer": {"accumulate_grad_batches": 3}}
    cfg = OmegaConf.create({"task": {"_target_": "aigc.tasks.CausalLM"}, **settings})
    assert typed(advice(cfg, MemoryError())) == ["data.batch_size=2", "trainer.accumulate_grad_batches=6"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, []),
        ({"data": {"batch_size": 1}, "trainer": None}, []),
        ({"data": {"batch_size": "???", "sequence_length": "${missing.key}"}}, []),
        ({"data": {"batch_size": 64}, "model": {"latent": 128}}, ["data.batch_size=32"]),
        ({"data": {"batch_size": 1, "sequence_length": 512}}, ["data.sequence_length=256"]),
    ],
)
def test_keys_that_a_config_lacks_are_not_mentioned(content, expected):
    assert typed(advice(OmegaConf.create({"task": {"_target_": "aigc.tasks.CausalLM"}, **content}), MemoryError())) == (
        expected
    )


def test_a_task_that_cannot_be_found_does_not_hide_other_errors():
    cfg = OmegaConf.create({"task": {"_target_": "nothing.Here"}, "data": {"batch_size": 8}})
    assert typed(advice(cfg, MemoryError())) == ["data.batch_size=4"]


@pytest.mark.parametrize(
    ("made", "key", "now"),
    [
        (TextGeneration, "evaluation.mine.sampling.batch_size", Sampling().batch_size),
        (ImageGeneration, "evaluation.mine.batch_size", 64),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_evaluation_gives_its_own_advice(made, key, now, monkeypatch):
    def fail(self, trainer, module):
        raise really_out_of_memory()

    monkeypatch.setattr(made, "evaluate", fail)
    evaluation = made({})
    evaluation.key = "evaluation.mine"
    with pytest.raises(RuntimeError) as caught:
        evaluation.evaluate(None, None)
    wrapped = ValueError("validation failed")
    wrapped.__cause__ = caught.value
    for error in (caught.value, wrapped):
        assert typed(advice(compose([]), error)) == [f"{key}={now // 2}"]
