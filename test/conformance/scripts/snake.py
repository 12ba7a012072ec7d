import os
import sys

import hermes_constants

with open(os.environ["HERMES_HOME"] + "/runs.log", "a") as log:
    log.write("snake\n")
print("Python with Hermes", hermes_constants.__name__, sys.argv[1:])
