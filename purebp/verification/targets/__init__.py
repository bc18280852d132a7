"""What can be verified, each kind seen as a `Target`.

view            the one view: a forward function, its pullback, the reference
pairs           Op, (fwd, bwd), NumPy pairs
rule            a function with a rule of its own: jax.custom_vjp, jax.custom_jvp
function        a function or module that contains such
parts           arguments and modules as arrays, and what is put back
keyed           the key of a layer that draws random numbers
instance        an object with methods forward and backward
torch_function  torch.autograd.Function
"""
