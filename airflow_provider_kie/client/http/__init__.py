"""The HTTP layer: the only modules that know httpx."""
