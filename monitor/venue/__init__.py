"""A stand-in for a venue: a recorded session, served as that venue serves it."""
