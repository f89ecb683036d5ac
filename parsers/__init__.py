"""What a line of a mail log means: text in, events out."""

__version__ = "0.1.0"
