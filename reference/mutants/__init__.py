"""Mutation testing: does the verifier see a small mistake in any backward pass of purebp?"""
