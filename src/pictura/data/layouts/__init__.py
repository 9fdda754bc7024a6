"""One reader for each layout of a captioned image set: a path in, a `Source` out."""
