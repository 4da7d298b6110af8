"""What a registry says, and whether it is right: pure readers and checks."""
