"""What `trading-assets up` runs: the place it serves from, the supervisor of its services, and the web server with its
guard."""
