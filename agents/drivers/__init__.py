"""The drivers of this app's kinds, one file a kind of thing: what is wanted of it, in our words and in CMA's."""
