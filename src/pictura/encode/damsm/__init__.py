"""DAMSM, the matcher of words and picture regions: captions and pictures in, features that agree out."""
