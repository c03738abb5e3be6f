"""What a run's model can do: load, generate, measure, export."""
