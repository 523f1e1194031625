"""Networks that look at images: uint8 [N, H, W, C] -> features [N, d], one network a file."""
