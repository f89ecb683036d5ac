"""Who runs which mail exchangers and mail domains: rows as data, read by `parsers.provider`."""
