"""Side by side with what users would pick instead: the speed and the memory of transfers, on loopback."""
