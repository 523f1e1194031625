"""Feature extractors, one a file: uint8 [N, H, W, C] -> features [N, d].

`extractor` holds the interface that all of them have.
"""
