"""Many runs of one experiment: which trials there are, running them, and what came of them."""
