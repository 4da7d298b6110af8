"""Credentials: private keys and other secrets, kept sealed and named by a token."""
