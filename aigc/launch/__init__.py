"""From a checked config to a run: freeze it into a run folder, then work on that folder.

What it costs at scale, from figures measured on two CPU cores with a trial of ten steps (`make bench-sweep`), and a
SLURM of one node. Files, calls and seconds were counted or measured; what is multiplied from them is said to be so.

A sweep. Planning, which composes and checks every trial before the first one starts, takes 22 ms a trial: 22 s for
1,000. A run folder has 18 files beside its samples, the sweep folder three and a log for each trial, so 1,000 trials
are about 19,000 files; status.json of each running trial is written anew every ten seconds. The process that trials
are forked from takes 9 s to start; then a trial costs 0.2 s of two cores beside its own computation, the last fifty
as much as the first fifty: 200 trials take 53 s in all, and 1,000 would take about 4 minutes. A process for each of
200 trials takes 1,427 s.

A queue. A run is one call of sbatch, a sweep is one as well, whatever its number of tasks: 1,000 trials with
`sweep.per_task=10` are 100 tasks of one array. A job calls squeue and scontrol once when it goes back to the queue,
and nothing while it waits or runs. `aigc ls` calls squeue once for all runs that it lists. Code is copied once for a
run or a sweep: 377 files, 3 MB and 0.2 s for aigc itself.

Nodes. Each rank imports 3,700 files and takes 6 s for that from a local disk. 256 nodes with 8 ranks each would open
7.6 million files at the same time, which a shared file system will feel: there the environment belongs onto a local
disk or into an image. The ranks meet at one TCPStore of the first one, which waits ten minutes for the last; two keys
of it tell all of them the config and the checkpoint. The first rank alone writes the run folder; each other one has a
log, and with fsdp a file in each checkpoint: 2,047 logs, and 2,050 files a checkpoint. None of this was tried beyond
one node.
"""
