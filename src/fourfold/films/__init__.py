"""Films in, arrays and packets out, and back, through PyAV (extra `video`)."""
