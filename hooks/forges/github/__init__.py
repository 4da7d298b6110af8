"""GitHub, or GitHub Enterprise, as a forge: through a GitHub App or with a token."""
