"""What a run's model can do: load, generate, measure, export. Each kind of model is one file; parts/ is shared."""
