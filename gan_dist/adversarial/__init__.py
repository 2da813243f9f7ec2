"""The adversarial step: what D and G learn from a batch."""
