"""SLURM: the cluster, its commands, its batch script."""

from aigc.launch.clusters.slurm.cluster import Slurm

__all__ = ["Slurm"]
