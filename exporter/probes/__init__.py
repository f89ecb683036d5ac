"""Probes: mail that the service sends itself, and what becomes of it."""
