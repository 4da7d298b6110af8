"""Data: what is brought to a site before a job and kept after it."""
