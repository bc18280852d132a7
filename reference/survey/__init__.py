"""The public functions of JAX and its libraries, differentiated by purebp.grad and by jax.grad."""
