"""What somebody else may write to: one module for each way in, found by listing this folder."""
