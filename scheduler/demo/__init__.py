"""The demonstration: a fictional clinic, a course planned and booked over HTTP, a clock run forward."""
