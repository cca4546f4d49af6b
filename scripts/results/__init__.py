"""The results page: every study over several seeds with its controls, measured the same way."""
