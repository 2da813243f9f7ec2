"""A whole run, from its options to its last weights."""
