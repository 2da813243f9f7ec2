"""What a step learns from: images, their order, batches."""
