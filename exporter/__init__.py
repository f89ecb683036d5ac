"""The service: follows logs and serves metrics."""
