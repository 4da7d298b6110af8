"""Git repositories and commits, read as strangers' data."""
