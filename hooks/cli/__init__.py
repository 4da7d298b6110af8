"""The command ``waas``."""
