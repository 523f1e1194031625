"""What looks at images, one way a file: uint8 [N, H, W, C] -> features [N, d].

`extractor` holds the one interface that all of them have.
"""
