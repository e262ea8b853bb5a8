"""What the Makefile runs on real Airflows."""
