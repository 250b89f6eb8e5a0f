"""The rules of the clinic as pure functions over frozen values: no clock, no I/O, no framework."""
