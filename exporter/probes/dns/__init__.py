"""What the DNS says of a domain that sends mail: each check is a file, named as its value of the label `check`."""
