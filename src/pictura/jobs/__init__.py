"""What runs, for whom, in which order: the durable queue."""
