"""One mail server, one file or folder: its shapes, and which programs speak them.

Each offers `GRAMMAR` (a `parsers.shape.Grammar`) and `origin(host, program, pid)`, which tells who wrote a line, or
None where the program is not of this server.
"""
