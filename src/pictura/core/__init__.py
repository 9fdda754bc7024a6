"""What every layer shares: types, errors, images, names. Imports no torch."""
