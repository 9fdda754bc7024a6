"""StackGAN of two stages, and StackGAN++ that grows as a tree."""
