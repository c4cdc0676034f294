"""What uses the database: commands, and services with their health."""
