"""What a person reads when memory ran out."""

import pytest
import torch
from omegaconf import OmegaConf

from aigc.config import compose
from aigc.errors import is_out_of_memory
from aigc.generation.sampling import Sampling
from aigc.generation.texts import generate_texts
from aigc.launch.memory import advice


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


def test_the_default_config_is_told_overrides_that_compose():
    cfg = compose(["trainer.precision=32-true"])
    first, second = advice(cfg, really_out_of_memory()).split("\n")
    assert first == "try data.batch_size=4 trainer.accumulate_grad_batches=2 (now 8 and 1; the same step size)"
    assert second == "or trainer.precision=bf16-mixed (now 32-true), or data.sequence_length=104 (now 208)"
    changed = compose([word for word in f"{first} {second}".split() if "=" in word])
    assert (changed.data.batch_size, changed.trainer.accumulate_grad_batches) == (4, 2)


def test_a_batch_of_an_odd_size_is_about_the_same():
    cfg = OmegaConf.create({"data": {"batch_size": 5}, "trainer": {"accumulate_grad_batches": 3}})
    expected = "try data.batch_size=2 trainer.accumulate_grad_batches=6 (now 5 and 3; about the same step size)"
    assert advice(cfg, MemoryError()) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, "choose a smaller model, or a device with more memory"),
        ({"data": {"batch_size": 1}, "trainer": None}, "choose a smaller model, or a device with more memory"),
        ({"data": {"batch_size": "???", "sequence_length": "${missing.key}"}}, "choose a smaller model, or a device"),
        ({"data": {"batch_size": 64}, "model": {"latent": 128}}, "try data.batch_size=32 (now 64)"),
        ({"data": {"batch_size": 1, "sequence_length": 512}}, "try data.sequence_length=256 (now 512)"),
    ],
)
def test_keys_that_a_config_does_not_have_are_not_spoken_of(content, expected):
    assert advice(OmegaConf.create(content), MemoryError()).startswith(expected)


def test_generation_is_told_apart():
    class Full:
        """A tokenizer that has no memory left."""

        @property
        def bos_token_id(self):
            raise really_out_of_memory()

    with pytest.raises(RuntimeError) as caught:
        generate_texts(None, Full(), [""], Sampling())
    wrapped = ValueError("validation failed")
    wrapped.__cause__ = caught.value
    for error in (caught.value, wrapped):
        said = advice(compose([]), error)
        assert "evaluation.generation.sampling.batch_size=64 (now 128)" in said
    cfg = compose(["evaluation.generation.sampling.batch_size=6"])
    assert "sampling.batch_size=3 (now 6)" in advice(cfg, caught.value)
