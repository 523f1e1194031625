"""The transforms of adaptive discriminator augmentation, as pure functions of images and values."""
