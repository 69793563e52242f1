"""What `scripts/simulate` runs: a capacity model, and a simulation of its queues."""
