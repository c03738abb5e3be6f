"""From a checked config to a run: freeze it into a run folder, then work on that folder."""
