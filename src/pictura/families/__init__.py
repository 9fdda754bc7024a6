"""The families of text-to-image models, one folder each; none knows another."""
