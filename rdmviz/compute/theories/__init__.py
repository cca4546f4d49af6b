"""Neighbouring theories of training, one folder each: arrays in, arrays out."""
