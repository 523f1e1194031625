"""InceptionV3 as FID uses it: the network, the file of its weights, and the extractor."""
