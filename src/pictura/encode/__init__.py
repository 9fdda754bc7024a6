"""Between people's media and numbers: tokenizers, text towers, image autoencoders."""
