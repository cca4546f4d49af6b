"""Exact phase transitions of deep linear networks under weight decay.

After Ziyin and Ueda, arXiv:2205.12510.
"""
