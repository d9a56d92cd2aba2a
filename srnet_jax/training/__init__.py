"""Train networks: the loop, the compiled step, the optimiser, checkpoints and workdirs."""
