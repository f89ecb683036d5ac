"""What stands before a daemon's own words: time, host, program, pid. Any prefix goes with any grammar."""
