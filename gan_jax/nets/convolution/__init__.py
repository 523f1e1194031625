"""Convolutions, and the form of each that is quickest on a device."""
