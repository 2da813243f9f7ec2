"""Metrics, pictures, terminal output and dashboards of a run."""
