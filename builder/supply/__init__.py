"""What is in an image, who made it from what, and the signature that says so."""
