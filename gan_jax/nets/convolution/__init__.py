"""Products and convolutions, and the form of each that is quickest on a device."""
