"""Container Image Creation: software environment + target → recipe → image by content key."""
