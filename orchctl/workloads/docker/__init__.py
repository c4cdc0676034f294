"""Containers on a Docker engine; the one place that imports the docker library."""
