"""Drift since a run was made: named differences between two manifests, and the likely cause of other numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigc.runs.environment import PACKAGES, may_change_numbers

Manifest = Mapping[str, Any]

GROUPS = (
    *("config", "data", "code", "packages", "python", "precision", "hardware", "threads", "determinism", "environment"),
)
"""Groups of differences, those most likely to change numbers first."""
_MAX_LISTED = 3


@dataclass(frozen=True)
class Drift:
    """One difference.

    Attributes:
        group: One of `GROUPS`.
        name: What differs: `torch`, `seed`, `commit of aigc`.
        then: The former value, in readable form.
        now: The current value.
    """

    group: str
    name: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.group}: {self.name} {self.then} -> {self.now}"


def drift(then: Manifest, now: Manifest) -> list[Drift]:
    """Compare the manifest of a run with the current state, in the order of `GROUPS`.

    Entries that only one of them has are ignored: older manifests have fewer, and the current state is not known in
    full before training starts.

    Args:
        then: The manifest of the run.
        now: A manifest of the current state; `config_sha256` and `seed` are those of the run's config.yaml on disk.
    """
    parts: list[Callable[[Manifest, Manifest], Iterator[Drift]]] = [_config, _data, _code, _packages, _machine]
    found = [difference for part in parts for difference in part(then, now)]
    return sorted(found, key=lambda difference: GROUPS.index(difference.group))


def likely_cause(drifts: Sequence[Drift], deterministic: bool = True) -> str:
    """Return one sentence on why numbers differ, based on the drift that is most likely to change them.

    Args:
        drifts: From `drift`.
        deterministic: Whether the run used only deterministic algorithms.
    """
    if not drifts:
        known = (
            "no drift was found: config, data, code, packages, hardware and threads are those of the run, as far as "
        )
        known += "the manifest records them"
        if not deterministic:
            return f"{known}; trainer.deterministic is not true, so an operation may give different bits each time"
        return f"{known}; something that is not recorded has changed, or an operation is not deterministic"
    ordered = sorted(drifts, key=lambda difference: GROUPS.index(difference.group))
    group = ordered[0].group
    shown = [difference for difference in ordered if difference.group == group]
    listed = ", ".join(f"{d.name} {d.then} -> {d.now}" for d in shown[:_MAX_LISTED])
    more = f" and {len(shown) - _MAX_LISTED} more" if len(shown) > _MAX_LISTED else ""
    others = list(dict.fromkeys(difference.group for difference in ordered if difference.group != group))
    also = f"; less likely: {', '.join(others)}" if others else ""
    return f"likely cause: {_CAUSES[group]}: {listed}{more}{also}"


_CAUSES = {
    "config": "config.yaml was changed after the run had started",
    "data": "the data have changed",
    "code": "the code has changed",
    "packages": "the package versions differ",
    "python": "the Python version differs",
    "precision": "the precision differs",
    "hardware": "the hardware differs",
    "threads": "the number of threads differs, which changes how sums are split",
    "determinism": "the flags of torch differ",
    "environment": "the environment variables differ",
}


def _config(then: Manifest, now: Manifest) -> Iterator[Drift]:
    if _both(then, now, "seed") and then["seed"] != now["seed"]:
        yield Drift("config", "seed", str(then["seed"]), f"{now['seed']} in config.yaml")
    if _both(then, now, "config_sha256") and then["config_sha256"] != now["config_sha256"]:
        yield Drift("config", "config.yaml", *_hashes(then["config_sha256"], now["config_sha256"]))


def _data(then: Manifest, now: Manifest) -> Iterator[Drift]:
    if _both(then, now, "data_fingerprint") and then["data_fingerprint"] != now["data_fingerprint"]:
        yield Drift("data", "fingerprint", *_hashes(then["data_fingerprint"], now["data_fingerprint"]))


def _code(then: Manifest, now: Manifest) -> Iterator[Drift]:
    for key, name in (("aigc", "aigc"), ("working_directory", "the working directory")):
        states = [manifest.get("git", {}) for manifest in (then, now)]
        if all(key in state for state in states):
            yield from _git(name, states[0][key], states[1][key])
    if _both(then, now, "source_sha256") and then["source_sha256"] != now["source_sha256"]:
        yield Drift("code", "source of aigc", *_hashes(then["source_sha256"], now["source_sha256"]))


def _git(name: str, then: Manifest | None, now: Manifest | None) -> Iterator[Drift]:
    if then is None or now is None:
        if then != now:
            yield Drift("code", f"repository of {name}", *(_commit(state) for state in (then, now)))
        return
    if then.get("sha") != now.get("sha"):
        yield Drift("code", f"commit of {name}", _commit(then), _commit(now))
    if "patch_sha256" in then and "patch_sha256" in now:
        if then["patch_sha256"] != now["patch_sha256"]:
            patches = (f"{p[:8]}" if p else "none" for p in (then["patch_sha256"], now["patch_sha256"]))
            yield Drift("code", f"uncommitted changes in {name}", *patches)
    elif then.get("dirty") != now.get("dirty"):
        yield Drift(
            "code", f"uncommitted changes in {name}", *("some" if s.get("dirty") else "none" for s in (then, now))
        )


def _packages(then: Manifest, now: Manifest) -> Iterator[Drift]:
    if not _both(then, now, "packages"):
        return
    old, new = then["packages"], now["packages"]
    names = [*PACKAGES, *sorted((old.keys() | new.keys()) - set(PACKAGES))]
    for name in names:
        # A manifest without `environment` is of a version that listed only a few packages.
        if name not in old and "environment" not in then:
            continue
        if (old.get(name) or None) != (new.get(name) or None):
            yield Drift("packages", name, str(old.get(name) or "none"), str(new.get(name) or "none"))


def _machine(then: Manifest, now: Manifest) -> Iterator[Drift]:
    for key in ("python", "precision"):
        if _both(then, now, key) and then[key] != now[key]:
            yield Drift(key, key, str(then[key]), str(now[key]))
    yield from _fields("hardware", _hardware(then), _hardware(now))
    yield from _fields("threads", _threads(then), _threads(now))
    yield from _fields("determinism", then.get("determinism") or {}, now.get("determinism") or {})
    if _both(then, now, "environment"):
        old, new = then["environment"], now["environment"]
        for name in sorted(filter(may_change_numbers, old.keys() | new.keys())):
            if old.get(name) != new.get(name):
                yield Drift("environment", name, old.get(name, "unset"), new.get(name, "unset"))
    if _both(then, now, "platform") and then["platform"] != now["platform"]:
        yield Drift("environment", "platform", str(then["platform"]), str(now["platform"]))


def _fields(group: str, then: Manifest, now: Manifest) -> Iterator[Drift]:
    """Yield the keys that both have with different values."""
    for key, value in then.items():
        if key in now and value != now[key]:
            yield Drift(group, key.replace("_", " "), _shown(then[key]), _shown(now[key]))


def _both(then: Manifest, now: Manifest, key: str) -> bool:
    return then.get(key) is not None and now.get(key) is not None


def _threads(manifest: Manifest) -> Manifest:
    """Return the threads; older manifests have them in `hardware`."""
    hardware = manifest.get("hardware") or {}
    older = {"torch": hardware["torch_threads"]} if "torch_threads" in hardware else {}
    return manifest.get("threads") or older


def _hardware(manifest: Manifest) -> Manifest:
    """Return the hardware that may change numbers; GPUs are known only once torch has been imported."""
    hardware = manifest.get("hardware") or {}
    keys = ("cpu", "cpu_capability", "cuda", "cudnn", "driver", "torch_build")
    known = {key: hardware[key] for key in keys if key in hardware}
    if "cuda" in hardware:
        names = [str(gpu.get("name")) for gpu in hardware.get("gpus") or []]
        known["gpus"] = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names)) or "none"
    return known


def _commit(state: Manifest | None) -> str:
    return "no git" if state is None else str(state.get("sha") or "no commit")[:12]


def _hashes(then: Any, now: Any) -> tuple[str, str]:
    return str(then)[:8], str(now)[:8]


def _shown(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
