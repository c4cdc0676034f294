"""The upgrade: planned as data, executed in one transaction, confirmed by a fresh connection."""
