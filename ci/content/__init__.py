"""What files hold, whatever they are for: text, scripts, programs, credentials."""
