"""Write poses to files, with one module for each format; `lifting.result` calls them. docs/files_out.md describes the files."""
