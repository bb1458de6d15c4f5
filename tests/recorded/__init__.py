"""Answers that real AWS gave, replayed against the local AWS: see `replay`."""
