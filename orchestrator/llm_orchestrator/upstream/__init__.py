"""Upstream services: one adapter a protocol, each translating OpenAI's shapes both ways."""
