"""The tests. `conftest.py` holds the fixtures, `plumbing/` what they are made of, `house/` the rules of the code."""
