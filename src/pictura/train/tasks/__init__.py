"""What networks learn by: batches in, losses out, one module a kind of network."""
