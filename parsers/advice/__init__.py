"""What each reason means, and what an operator can do: `classes.yaml`, and `providers.yaml` where a provider has a
procedure of its own."""
