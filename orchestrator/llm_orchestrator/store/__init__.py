"""Reading and changing the database; no HTTP."""
