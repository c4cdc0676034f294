"""Snapshots of one database: taking, listing, verifying, restoring, pruning."""
