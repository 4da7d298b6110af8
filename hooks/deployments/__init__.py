"""Deployments: workflow versions in place on sites."""
