"""Commands that people give on pull requests: read, decided on, done once, answered."""
