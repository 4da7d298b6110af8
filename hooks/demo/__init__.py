"""The whole story in one command, on a throw-away service home."""
