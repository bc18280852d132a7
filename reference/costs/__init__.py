"""What purebp.grad costs beside jax.grad on whole programs, as XLA compiles them."""
