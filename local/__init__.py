"""A local AWS: moto behind one HTTP port, corrected where its differences from the real services matter.

It is what the demo, the integration tests, ``sam local invoke`` and the plain ``aws`` CLI talk to. Nothing
in it ever calls the real AWS or reads a developer's real credentials. What ships knows nothing of it.
"""
