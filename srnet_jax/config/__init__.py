"""Configs: their fields, their files, and the runs that one config asks for."""
