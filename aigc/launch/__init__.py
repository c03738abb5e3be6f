"""Start a run from a checked config: freeze it into a run folder, then train that folder.

Costs at scale, from figures measured on two CPU cores with a trial of ten steps (`make bench-sweep`) and a SLURM
cluster of one node. Files, calls and seconds were counted or measured; figures after "would" are extrapolated.

Sweeps. Planning, which composes and checks every trial before the first one starts, takes 22 ms a trial: 22 s for
1,000. A run folder has 18 files beside its samples, the sweep folder three and a log for each trial, so 1,000 trials
are about 19,000 files; status.json of each running trial is rewritten every ten seconds. The process that trials are
forked from takes 9 s to start; then a trial costs 0.2 s of two cores besides its own computation, the last fifty as
much as the first fifty: 200 trials take 53 s in total, and 1,000 would take about 4 minutes. With a new process for
each trial, 200 trials take 1,427 s.

Queues. A run is one call of sbatch, and so is a sweep with any number of tasks: 1,000 trials with `sweep.per_task=10`
are 100 tasks of one array. A job calls squeue and scontrol once when it is requeued, and neither while it waits or
runs. `aigc ls` calls squeue once for all runs that it lists. Code is copied once for a run or a sweep: 377 files, 3 MB
and 0.2 s for aigc itself.

Nodes. Each rank imports 3,700 files, which takes 6 s from a local disk. 256 nodes with 8 ranks each would open 7.6
million files at the same time: on a shared file system, keep the environment on a local disk or in an image. The ranks
connect to one TCPStore of the first rank, which waits ten minutes for the last one; two of its keys hold the config and
the checkpoint. Only the first rank writes the run folder; every other one has a log, and with fsdp a file in each
checkpoint: 2,047 logs, and 2,050 files per checkpoint. None of this was measured on more than one node.
"""
