"""Several processes as one job, on any device."""
