"""Measurements: the product beside a reference, in one run, as ratios. `python -m bench` lists and runs them."""
