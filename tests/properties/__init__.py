"""What holds for any input, looked for by hypothesis."""
