"""Observable Matrix Dynamics: spectra of the distances between representations of fixed points.

After Halperin, arXiv:2606.29679.
"""
