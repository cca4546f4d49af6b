"""Weight matrices as random matrices that learn: Marchenko-Pastur bulk, outliers, trainability.

After Park, Bocchi, D'Amico, Lucini and Aarts, arXiv:2606.28486.
"""
