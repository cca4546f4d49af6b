"""The neighbouring theories: arrays in, arrays out."""
