"""On import: what the programs under test keep in a cache goes into a folder that lives as long as this process."""
import os
import tempfile

FOLDER = tempfile.TemporaryDirectory()
os.environ["XDG_CACHE_HOME"] = FOLDER.name
