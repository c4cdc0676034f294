"""What a revision's own text shows: rules L01 to L13, on the syntax tree, without running it."""
