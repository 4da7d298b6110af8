"""Throw-away clusters and container tools, for the demo and the tests."""
