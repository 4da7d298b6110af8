"""Executions: runs of a deployment."""
