"""The 2-datapoint reduced density matrix: banded Gram, windows, observables, modes, groups."""
