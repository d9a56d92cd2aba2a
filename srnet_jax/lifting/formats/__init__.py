"""The files that poses are written to, one module each; `lifting.result` calls them. docs/files_out.md describes them."""
