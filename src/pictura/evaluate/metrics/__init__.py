"""Numbers about sets of pictures, computed from feature or embedding arrays: numpy in, floats out."""
