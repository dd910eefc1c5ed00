"""What surfaces of the synthetic people are made of; the numbers are stored in the assets."""

from __future__ import annotations

SKIN = 0  # coloured by a texture
PLAIN = 1  # coloured per vertex, matt
EYE = 2  # coloured per vertex, glossy
HAIR = 3  # coloured per vertex, with a sheen
LEATHER = 4  # coloured per vertex, satin (shoes)
STRIPES = 5  # cotton jersey with woven stripes
FLEECE = 6  # hoodie: soft, prints front and back, pocket, cords
DENIM = 7  # jeans: twill grain, worn thighs and knees, seams, pockets
CANVAS = 8  # trousers of one colour with a pressed crease
