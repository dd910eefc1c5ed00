"""Rigid objects: a textured mesh and a folder of posed pictures instead of a person's recording."""
