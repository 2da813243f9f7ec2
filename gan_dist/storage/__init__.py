"""What a run writes to the disk."""
