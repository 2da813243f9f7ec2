"""The quality of generated images as numbers."""

LEAST_IMAGES = 10  # a fifth neighbour, a covariance
