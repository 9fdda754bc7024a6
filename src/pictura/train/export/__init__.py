"""From a run's checkpoint to a folder that paints, scores or enlarges without torch."""
