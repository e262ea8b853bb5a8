"""kie.ai's API, one noun a module: its calls, values and parsers."""
