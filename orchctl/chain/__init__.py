"""The revision chain, read statically: no revision file is ever imported here."""
