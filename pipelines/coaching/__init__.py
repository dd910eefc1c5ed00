"""The capture coach: looks at a few frames of a recording and says whether an avatar can come of it."""
