"""Console views of accounts, by subject."""
