"""Training: what makes the files in `resources/`, and models from users' own text (an extra)."""
