"""Arrays in, arrays out: the numbers of rdmviz, on NumPy and SciPy alone."""
