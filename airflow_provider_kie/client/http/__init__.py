"""How HTTP is spoken: the only modules that know httpx."""
