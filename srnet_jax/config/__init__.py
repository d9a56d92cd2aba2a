"""The config of a run: its fields, its files, and the runs that one config asks for."""
