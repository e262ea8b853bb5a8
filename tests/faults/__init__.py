"""Every way in which a transfer can go wrong, as tables; ``KIE_FAULTS=full`` repeats the kills 50 times."""
