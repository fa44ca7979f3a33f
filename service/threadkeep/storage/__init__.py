"""The only code that speaks SQL or Redis. It decides nothing and never commits on its own account."""
