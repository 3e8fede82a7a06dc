"""Plan rows into shards, send their requests, export their results."""
