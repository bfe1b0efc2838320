"""Training: what gradient descent needs, whatever it trains: losses, batches, and one loop that can be stopped."""
