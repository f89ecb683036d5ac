"""The reports: ad-hoc answers from mail logs."""
