"""`threadkeep dev`: a whole installation on one machine."""
