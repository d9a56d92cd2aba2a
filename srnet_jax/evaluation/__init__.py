"""Evaluation: prediction of whole sequences, results, tables and figures."""
