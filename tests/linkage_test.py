"""Which shared libraries a program pulls in: the planner stands without libtorch and gRPC, the
training engine without gRPC. Usage: linkage_test.py PROGRAM FORBIDDEN..."""
import subprocess
import sys

program, *forbidden = sys.argv[1:]
libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
found = [line.strip() for line in libraries.splitlines() if any(f in line for f in forbidden)]
if found:
    sys.exit(f"{program} must not need:\n  " + "\n  ".join(found))
