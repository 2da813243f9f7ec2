"""The adversarial step: losses, optimizers and one update of D and of G."""
