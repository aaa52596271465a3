"""The command `skneuro`: `check` and `demo`."""
