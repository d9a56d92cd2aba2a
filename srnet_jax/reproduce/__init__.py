"""The tables and figures of the paper: what each trains, and what it shows."""
