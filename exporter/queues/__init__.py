"""What waits in the queues of mail servers: one module for each server, and one for each way to ask Postfix."""
