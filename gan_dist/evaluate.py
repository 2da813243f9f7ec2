"""Quality as a number: `python -m gan_dist.evaluate RUN`."""
