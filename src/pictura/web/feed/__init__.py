"""The first page: write a sentence, see four pictures come, choose."""
