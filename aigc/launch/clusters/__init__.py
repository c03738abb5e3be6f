"""Where runs execute: one file for each kind of cluster, and one YAML in `conf/cluster`; no torch at import."""

from aigc.launch.clusters.base import Cluster, ClusterJob, CurrentJob, JobArray, JobPlan, JobState, NoAnswer

__all__ = ["Cluster", "ClusterJob", "CurrentJob", "JobArray", "JobPlan", "JobState", "NoAnswer"]
