"""What goes on beside the requests: writing logs, asking providers how they are, forgetting."""
