"""Sites: transports, queue systems, and what is asked of them."""
