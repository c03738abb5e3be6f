"""Regularisers: each module has a pure function and the class that a config names."""
