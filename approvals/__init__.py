"""Four eyes: which changes wait for a second person."""
