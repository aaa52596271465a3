"""From containers to tensors and from tensors to a trained model: segments, batches, the loop, evaluation."""
