"""Plain early-warning statistics of one series, the baselines every spectrum is laid beside."""
