"""What `scripts/bench` runs: servers, one load client, and the rows of the table."""
