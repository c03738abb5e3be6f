"""SLURM: its commands, and the batch script that a person can read."""
