"""The available kinds of clusters, read from `conf/cluster`, and the current job of a process; no torch.

A kind is one file with a `Cluster`, and one YAML in `conf/cluster` that names it. There is no other list of them.
"""

import os
from collections.abc import Mapping, MutableMapping

from aigc.config.build import target_class
from aigc.config.locate import search_folders
from aigc.config.yaml_files import read_yaml
from aigc.errors import InputError
from aigc.launch.clusters.base import Cluster, CurrentJob
from aigc.launch.ranks.exits import JOB


def cluster_class(target: str) -> type[Cluster]:
    """Return the class of a cluster by its dotted name; raises ConfigError where it may not be imported."""
    return target_class(target, Cluster, "cluster")


def class_name(cluster: Cluster | type[Cluster]) -> str:
    """Return the name by which `cluster_class` finds the class of a cluster."""
    kind = cluster if isinstance(cluster, type) else type(cluster)
    return f"{kind.__module__}.{kind.__qualname__}"


def kinds() -> dict[str, type[Cluster]]:
    """Return the class of each choice of `conf/cluster`; choices that cannot be imported are skipped."""
    found: dict[str, type[Cluster]] = {}
    for folder in search_folders():
        for path in sorted((folder / "cluster").glob("*.yaml")):
            if path.stem in found or path.stem.startswith("_"):
                continue
            try:
                content = read_yaml(path).value
                found[path.stem] = cluster_class(str(content.get("_target_") or content["cluster"]["_target_"]))
            except Exception:  # a user's module may raise anything at import, and this run may not need it
                continue
    return found


def default_kind() -> str:
    """Return the choice of `conf/cluster` to use where a queue is needed and no cluster is named.

    Raises:
        InputError: There is none.
    """
    names = [name for name, kind in kinds().items() if kind.default and kind.name == name]
    if not names:
        raise InputError("name a cluster with a queue: cluster=NAME, one of the files in conf/cluster")
    return names[0]


def current_job(environ: Mapping[str, str] = os.environ) -> CurrentJob | None:
    """Return the job that this process belongs to; None outside of any."""
    jobs = (kind.current_job(environ) for kind in dict.fromkeys(kinds().values()))
    return next((job for job in jobs if job is not None), None)


def job_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment variables with which clusters describe this job, for the manifest."""
    names = sorted({name for kind in kinds().values() for name in kind.variables})
    return {name: environ[name] for name in names if name in environ}


def adopt_ranks(environ: MutableMapping[str, str] = os.environ) -> bool:
    """Set the variables of torchrun in a process that a cluster has started as a rank, unless they are set.

    Call it only in a process that is a rank: the shell of a batch script may have the cluster's variables as well.

    Returns:
        Whether the cluster started this process as a rank.

    Raises:
        InputError: The cluster's variables contradict each other.
    """
    adopt_launch(environ)
    if "RANK" in environ:
        return False
    for kind in dict.fromkeys(kinds().values()):
        if variables := kind.rank_variables(environ):
            environ.update(variables)
            return True
    return False


def adopt_launch(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the launch id, which separates the ranks of this job from those before it was requeued."""
    job = current_job(environ)
    if job is not None:
        environ[JOB] = job.launch
