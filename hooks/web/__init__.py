"""The web application: REST, webhooks and pages."""
