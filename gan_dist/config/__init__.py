"""The options of a run. Only training/ and the commands see them."""
