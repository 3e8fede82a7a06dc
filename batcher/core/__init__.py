"""What is decided without time, chance or I/O: values in, decisions out."""
