"""Files to tensors, and tensors to the form that runs fastest."""
