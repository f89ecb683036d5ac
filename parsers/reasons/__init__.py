"""What servers' words and codes mean: rules as data, read by `parsers.reason`."""
