"""Config files for `--config`."""
