"""DF-GAN: one generator, one discriminator, the sentence fused in at every scale."""
