"""Being watched: what is stuck, how the workers fare, and what monitoring asks."""
