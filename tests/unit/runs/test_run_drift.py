"""Each thing that can change is named with both values, and the likeliest cause comes first."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aigc.runs.drift import GROUPS, Drift, drift, likely_cause
from aigc.runs.origin import new_manifest

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def then(tmp_path: Path) -> dict[str, Any]:
    made = new_manifest(
        "a-1", command=["aigc"], seed=0, data_fingerprint="d" * 64, config_sha256="c" * 64, folder=tmp_path
    ).as_dict()
    state = {"sha": "1" * 40, "branch": "main", "dirty": False, "patch_sha256": None}
    made["git"] = {"aigc": state, "working_directory": dict(state)}
    made["hardware"] |= {"gpus": [], "cuda": None, "cudnn": None, "cpu_capability": "AVX512"}
    made |= {"threads": {"torch": 2}, "determinism": {"deterministic_algorithms": "on"}, "precision": "32-true"}
    made["environment"] = {"OMP_NUM_THREADS": "2", "SLURM_JOB_ID": "7"}
    return made


def h200(count: int) -> list[dict[str, Any]]:
    return [{"name": "H200", "memory": 1}] * count


CHANGES: list[tuple[str, str, Change]] = [
    ("config", "config: seed 0 -> 7 in config.yaml", lambda m: m.update(seed=7)),
    ("config", "config: config.yaml cccccccc -> eeeeeeee", lambda m: m.update(config_sha256="e" * 64)),
    ("data", "data: fingerprint dddddddd -> eeeeeeee", lambda m: m.update(data_fingerprint="e" * 64)),
    ("code", "code: commit of aigc 111111111111 -> 222222222222", lambda m: m["git"]["aigc"].update(sha="2" * 40)),
    (
        "code",
        "code: uncommitted changes in the working directory none -> aaaaaaaa",
        lambda m: m["git"]["working_directory"].update(dirty=True, patch_sha256="a" * 64),
    ),
    ("code", "code: repository of aigc 111111111111 -> no git", lambda m: m["git"].update(aigc=None)),
    ("packages", "packages: numpy {numpy} -> 1.0", lambda m: m["packages"].update(numpy="1.0")),
    ("packages", "packages: flash-attn none -> 2.8", lambda m: m["packages"].update({"flash-attn": "2.8"})),
    ("packages", "packages: pytest {pytest} -> none", lambda m: m["packages"].pop("pytest")),
    ("python", "python: python {python} -> 3.99.0", lambda m: m.update(python="3.99.0")),
    ("precision", "precision: precision 32-true -> bf16-mixed", lambda m: m.update(precision="bf16-mixed")),
    ("hardware", "hardware: gpus none -> 2 x H200", lambda m: m["hardware"].update(gpus=h200(2))),
    ("hardware", "hardware: cuda none -> 13.0", lambda m: m["hardware"].update(cuda="13.0")),
    ("hardware", "hardware: cpu capability AVX512 -> AVX2", lambda m: m["hardware"].update(cpu_capability="AVX2")),
    ("threads", "threads: torch 2 -> 8", lambda m: m["threads"].update(torch=8)),
    (
        "determinism",
        "determinism: deterministic algorithms on -> off",
        lambda m: m["determinism"].update(deterministic_algorithms="off"),
    ),
    ("environment", "environment: OMP_NUM_THREADS 2 -> unset", lambda m: m["environment"].pop("OMP_NUM_THREADS")),
    ("environment", "environment: MKL_CBWR unset -> AVX2", lambda m: m["environment"].update(MKL_CBWR="AVX2")),
]


@pytest.mark.parametrize(("group", "said", "change"), CHANGES, ids=[said for _, said, _ in CHANGES])
def test_one_change_is_one_drift_with_both_values(then: dict[str, Any], group: str, said: str, change: Change) -> None:
    now = copy.deepcopy(then)
    change(now)
    (found,) = drift(then, now)
    said = said.format(**then["packages"] | {"python": then["python"]})
    assert (found.group, str(found)) == (group, said)
    assert said.split(": ", 1)[1] in likely_cause([found])
    assert "less likely" not in likely_cause([found])


def test_nothing_changed_is_no_drift(then: dict[str, Any]) -> None:
    assert drift(then, copy.deepcopy(then)) == []


def test_what_cannot_change_a_number_is_no_drift(then: dict[str, Any]) -> None:
    now = copy.deepcopy(then)
    now["environment"]["SLURM_JOB_ID"] = "8"
    now["environment"]["TMPDIR"] = "/scratch"
    now["hardware"]["memory_bytes"] = 1
    now["git"]["aigc"]["branch"] = "other"
    now |= {"command": ["aigc", "reproduce"], "cwd": "/elsewhere", "created": "later", "run_id": "b-1"}
    assert drift(then, now) == []


def test_an_older_manifest_is_compared_as_far_as_it_goes(then: dict[str, Any]) -> None:
    older = {key: then[key] for key in ("schema_version", "run_id", "python", "platform", "seed", "data_fingerprint")}
    older["packages"] = {"torch": then["packages"]["torch"], "wandb": None}
    older["hardware"] = {"cpu": "another", "torch_threads": 4, "gpus": []}
    older["git"] = {"aigc": {"sha": "1" * 40, "branch": "main", "dirty": True}, "working_directory": None}
    assert {str(found) for found in drift(older, {**then, "packages": {**then["packages"], "wandb": None}})} == {
        "code: uncommitted changes in aigc some -> none",
        "code: repository of the working directory no git -> 111111111111",
        f"hardware: cpu another -> {then['hardware']['cpu']}",
        "threads: torch 4 -> 2",
    }
    assert drift({}, then) == []
    assert drift(then, {}) == []


def test_gpus_are_unknown_before_torch_has_looked(then: dict[str, Any]) -> None:
    then["hardware"] |= {"gpus": h200(1), "cuda": "13.0"}
    now = copy.deepcopy(then)
    now["hardware"] = {key: now["hardware"][key] for key in ("cpu", "cores", "memory_bytes")} | {"gpus": []}
    assert drift(then, now) == []


def test_drifts_and_causes_are_in_the_order_of_what_is_likely(then: dict[str, Any]) -> None:
    now = copy.deepcopy(then)
    for _, _, change in reversed(CHANGES):
        if change is not CHANGES[5][2]:  # without git there is no commit to compare
            change(now)
    found = drift(then, now)
    assert [each.group for each in found] == sorted((each.group for each in found), key=GROUPS.index)
    assert {each.group for each in found} == set(GROUPS)
    cause = likely_cause(list(reversed(found)))
    assert cause.startswith("likely cause: config.yaml")
    assert cause.endswith(
        "less likely: data, code, packages, python, precision, hardware, threads, determinism, environment"
    )
    without = likely_cause([each for each in found if each.group not in ("config", "data", "code")])
    assert without.startswith("likely cause: ")
    assert "package versions differ: numpy " in without


def test_many_packages_are_counted() -> None:
    found = [Drift("packages", f"p{number}", "1", "2") for number in range(5)]
    assert likely_cause(found).endswith(": p0 1 -> 2, p1 1 -> 2, p2 1 -> 2 and 2 more")


def test_without_drift_other_causes_are_named() -> None:
    assert likely_cause([]).startswith("no drift was found: ")
    assert "not deterministic" in likely_cause([])
    assert "trainer.deterministic is not true" in likely_cause([], deterministic=False)
