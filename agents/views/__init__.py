"""Console views of what should exist, by noun."""
