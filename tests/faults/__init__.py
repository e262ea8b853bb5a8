"""Every way in which a transfer can go wrong, as tables; ``KIE_FAULTS=full`` repeats the kills 50 times."""

import os
import secrets

FULL = os.environ.get("KIE_FAULTS") == "full"
# Told to the workers of pytest-xdist, who all play the same.
SEED = int(os.environ.setdefault("KIE_FAULTS_SEED", str(secrets.randbits(32) if FULL else 1)))
