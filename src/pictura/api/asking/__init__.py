"""What clients ask for, made into requests that a worker can paint."""
