"""The chain as a picture, with what is wrong with it."""
