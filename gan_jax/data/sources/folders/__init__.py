"""Images in folders and zips: their files, the split and class of each, and the source of them."""
