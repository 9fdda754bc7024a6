"""Where the embeddings of pictures lie among all directions: their principal components, measured once.

Letters N pictures, D width of the embeddings, K components.
"""

import torch
from torch import Tensor, nn

from pictura.sample.embeddings import Pca, fit_pca


class EmbeddingSpace(nn.Module):
    """Mean and principal components, which are measured and not learnt."""

    mean: Tensor
    """(D,) of the embeddings."""
    components: Tensor
    """(D, D) unit vectors in rows, that of the largest variance first."""
    variances: Tensor
    """(D,) along each."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("components", torch.eye(dim))
        self.register_buffer("variances", torch.zeros(dim))

    def measure(self, embeddings: Tensor) -> None:
        """Take the components of embeddings (N, D)."""
        for name, array in fit_pca(embeddings.cpu().numpy())._asdict().items():
            getattr(self, name).copy_(torch.from_numpy(array))

    def pca(self) -> Pca:
        """As the functions of `sample.embeddings` take it."""
        return Pca(self.mean, self.components, self.variances)

    def project(self, embeddings: Tensor, num: int) -> Tensor:
        """Embeddings (N, D) to their first `num` components, (N, K)."""
        return (embeddings - self.mean) @ self.components[:num].T

    def rebuild(self, numbers: Tensor) -> Tensor:
        """Embeddings (N, D) from their first components (N, K); the others are taken to be 0."""
        return self.mean + numbers @ self.components[: numbers.shape[1]]
