"""One Docker host, here or over SSH: its engine, its shell, its ports, and the images onto it."""
