"""Neighbouring theories of a training run, one folder or file each: distances, weights, spins, landscape."""
