"""Choosing the few frames that teach the texture: what frames show, and which of them together show most."""
