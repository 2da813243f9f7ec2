"""The quality of generated images as numbers."""
