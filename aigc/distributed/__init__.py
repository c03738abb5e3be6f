"""Ranks: collectives, averaged gradients, sharded weights, tensor parallelism."""
