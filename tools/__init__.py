"""Commands for operators and maintainers; nothing here ships."""

import sys
from pathlib import Path

# They run in the source tree, where the layer's package is not installed.
sys.path.append(str(Path(__file__).parents[1] / "layers" / "core"))
