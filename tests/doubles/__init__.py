"""Stand-ins for services of others that tests cannot reach, each held to its published description.

A package, so that nothing inside is importable by a bare name: ``github`` is PyGithub's.
"""
