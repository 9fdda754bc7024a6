"""Who may come in, how often, and what is not allowed."""
