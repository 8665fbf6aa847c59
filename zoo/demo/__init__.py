"""A page to try every model of the registry, with gradio."""
