"""What surfaces of the synthetic people are made of; the numbers are stored in the assets.

A face's number is one of these plus 32 times the garment it belongs to (0 for skin, eyes, hair and shoes).
"""

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
JERSEY = 9  # T-shirts and vests: ribbed neck, prints front and back
CHECKS = 10  # woven shirt: checks, placket with buttons, chest pocket
FLOWERS = 11  # dress: flowers scattered over the cloth, belted waist
JACKET = 12  # bomber jacket: zip, slanted pockets, ribbed hem and cuffs
STRETCH = 13  # sports tights: a stripe down the side, seams
LINEN = 14  # loose slub weave, buttons in front

GARMENT_STEP = 32
