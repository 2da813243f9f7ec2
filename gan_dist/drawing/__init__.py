"""Images of a trained generator, and the files they go to."""
