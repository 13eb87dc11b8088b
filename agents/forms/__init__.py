"""Forms of the console about what should exist, by noun."""
