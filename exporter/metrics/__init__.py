"""The numbers: what is counted, how it is kept, and how a scrape gets it."""
