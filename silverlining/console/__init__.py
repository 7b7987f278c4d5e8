"""What a person sees: narration, progress, tables, pictures in the terminal."""
