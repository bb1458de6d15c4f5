"""What the demo's containers run: `serve` lies in the image, `inference` in ``model.tar.gz``.

Both are also imported by nobody: the demo packs them as files and later runs what the hub gives back.
"""
