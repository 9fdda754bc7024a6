"""Captions that are continued code by code, each code read once: what may still be looked at is kept.

Letters B pictures, T text positions, V codes to choose from.
"""

import torch
from torch import Tensor

from pictura.families.dalle.model import DalleTransformer
from pictura.sample.token_memory import TokenMemory


class TokenCache:
    """What the blocks remember of B pictures."""

    def __init__(
        self, transformer: DalleTransformer, token_ids: Tensor, mask: Tensor, *, num: int | None = None
    ) -> None:
        """Read captions.

        Args:
            transformer: the network.
            token_ids: (B, T) int64, or (1, T) with `num`.
            mask: of the same shape, true where a token is.
            num: pictures of the one caption; not given, there is one for each.
        """
        self._transformer = transformer
        plan = transformer.config.memory_plan()
        self._allowed = [torch.tensor(one, device=token_ids.device) for one in plan.allowed()]
        logits, keys, values = transformer.prefill(token_ids, mask)
        num = len(token_ids) if num is None else num
        self.logits = logits.expand(num, -1)
        """(B, V) of code 0."""
        self._memory = TokenMemory(plan, keys, values, num=num, zeros=keys.new_zeros)

    def step(self, codes: Tensor, index: int) -> Tensor:
        """Read code `index` of each picture, (B,) int64; after it come (B, V) logits of the next."""
        self._memory.turn_to(index)
        logits, keys, values = self._transformer.step(
            codes, index, [one[index] for one in self._allowed], self._memory.keys, self._memory.values
        )
        self._memory.add(index, keys, values)
        return logits
