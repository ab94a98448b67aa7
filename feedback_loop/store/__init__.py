"""The database as a whole: who uses it, whether it is well, backups of it, and moving it elsewhere."""
