"""A whole run, from its options to its final weights."""
