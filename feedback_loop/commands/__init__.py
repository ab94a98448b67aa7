"""Commands beside those of `feedback_loop/cli.py`, a module for each subject."""
