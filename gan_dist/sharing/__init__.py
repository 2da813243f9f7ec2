"""A run as something for others."""
