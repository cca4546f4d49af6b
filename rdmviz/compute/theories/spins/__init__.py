"""Networks as spin models: weights are couplings, and training melts a glass into a hidden order.

After Barney, Winer and Galitski, arXiv:2408.06421.
"""
