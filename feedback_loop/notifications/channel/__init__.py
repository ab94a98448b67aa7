"""The mail channel as admins see it."""
