"""The whole thing running for real on one host: mail servers, destinations, traffic, exporter, Prometheus."""
