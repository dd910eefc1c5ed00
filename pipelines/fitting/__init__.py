"""From what is seen of a person to a body that moves with them.

In the order of reading:

- what there is: `anatomy` (joints, limits, where landmarks sit), `posing` (the skeleton), `turns` (rotations)
- what a frame asks for: `residuals` (landmarks, depth), `outline`, `matching`, `hands`; `equations` adds it up
- one frame: `descent` solves it, `model` is one person's body before one camera
- one person: `traits` (clothes, shifted landmarks), `sharing`, `calibration` (the shape with them), `focal`
- frame after frame: `tracking` (live, and the start of whole clips), `swaps` (left and right), `calming`
- whole clips: `solver` leads through it; `cuts`, `batch` (all frames at once), `standing` and `floor` (feet),
  `smoothing` (gaps), `steadying` (the last touch), `face`
- around it: `checks` (what cannot be fitted), `trust` (which frames to believe), `overlay` and `plots`
"""
