"""What follows from what kie.ai says: decisions without I/O."""
