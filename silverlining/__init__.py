"""The machinery of Silverlining: model (pure data), host (one Docker host), ops (what is done), console (what is seen)."""
