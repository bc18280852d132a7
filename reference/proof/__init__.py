"""What the verifier finds: real wrong gradients, their right twins, and the rules of libraries."""
