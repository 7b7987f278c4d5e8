"""A Docker host over SSH: Fabric's connection, opened by our rules for host keys, and the engine behind it."""
