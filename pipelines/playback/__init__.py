"""An avatar in motion: what `anr render` and `anr tryon` share. It sits beside training, above the parts."""
