"""Who comes in over HTTP, and how: listening, TLS, passwords, and what no client may do to the others."""
