"""Judges: networks that read a picture and say which things it holds, how many, in which colour and where."""
