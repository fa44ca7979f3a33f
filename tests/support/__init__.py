"""Where tests get their servers from, and how they wait. Holds no test and decides no result."""
