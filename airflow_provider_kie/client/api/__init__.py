"""kie.ai's API, one module per noun: its calls, values and parsers."""
