"""AttnGAN: a generator that looks at single words at each scale."""
