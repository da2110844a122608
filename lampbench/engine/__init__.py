"""What executes: the protocol every backend answers to, and the backends."""
