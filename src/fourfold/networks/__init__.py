"""The networks as they are trained, in torch."""
