"""What each API takes and gives, as JSON."""
