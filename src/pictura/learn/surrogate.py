"""The clipped surrogate: how likely what was painted is now against then, and how good it was, to a loss.

Source  Schulman et al. 2017, PPO (arXiv:1707.06347), equation 7.
Letters B pictures; where a ratio is that of a token, (B, L) with advantages (B, 1).
"""

from torch import Tensor


def clipped_surrogate(ratio_B: Tensor, advantage_B: Tensor, clip_range: float) -> Tensor:
    """-min(ratio A, clip(ratio, 1 - c, 1 + c) A): no gain from going further than the clip."""
    clipped_B = ratio_B.clamp(1 - clip_range, 1 + clip_range)
    return -(ratio_B * advantage_B).minimum(clipped_B * advantage_B)


def ratio_metrics(ratio_B: Tensor, advantage_B: Tensor, clip_range: float) -> dict[str, float]:
    """What logs and guards want to know: 1 where nothing was learnt since; the parts that the clip stops."""
    ratio_B = ratio_B.detach()
    return {
        "ratio_mean": ratio_B.mean().item(),
        "ratio_std": ratio_B.std(correction=0).item(),
        "ratio_error_max": (ratio_B - 1).abs().max().item(),
        "clip_high": ((ratio_B > 1 + clip_range) & (advantage_B > 0)).float().mean().item(),
        "clip_low": ((ratio_B < 1 - clip_range) & (advantage_B < 0)).float().mean().item(),
    }


def averaged(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means of the same numbers over several draws; the largest where the name ends in ``_max``."""
    return {
        name: max(row[name] for row in rows)
        if name.endswith("_max")
        else sum(row[name] for row in rows) / len(rows)
        for name in rows[0]
    }
