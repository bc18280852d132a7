"""The tests of purebp; the folders mirror those of the package."""
