"""The addresses of the studio, one file for each kind of thing."""
