"""From an event to tasks: pull requests, merges, builds and deployments."""
