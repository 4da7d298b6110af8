"""Forges: what hosts the git repositories."""
