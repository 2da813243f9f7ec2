"""What a run shows: metrics, pictures, the terminal, dashboards."""
