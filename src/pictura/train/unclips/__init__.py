"""unCLIP's networks and what they listen to."""
