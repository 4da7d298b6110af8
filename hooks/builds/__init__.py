"""Image builds as a service: one attempt at an image at a time, however many ask for it."""
