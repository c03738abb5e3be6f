"""What the kinds of models and the verbs of the command line share."""
