"""A new image and its revisions put into service together, or put back together."""
