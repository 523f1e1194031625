"""Files of arrays or images that many data sets come in, one format a file."""
