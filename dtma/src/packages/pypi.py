# Prints how the package is started, as uvx would: the console script named like the package, or the only one.
import glob
import json
import os
import re
import sys
from importlib import metadata

name = sys.argv[1]


def plain(text):
    return re.sub(r"[-_.]+", "-", text).lower()


def say(**what):
    print(json.dumps(what))
    sys.exit()


folders = glob.glob("/opt/server/lib/python*/site-packages")
found = {plain(package.metadata["Name"]): package for package in metadata.distributions(path=folders)}
package = found.get(plain(name))
if package is None:
    say(error=f"{name} was installed and cannot be found")
scripts = sorted({entry.name for entry in package.entry_points if entry.group == "console_scripts"})
named = [script for script in scripts if plain(script) == plain(name)]
chosen = named or scripts
if len(chosen) != 1:
    say(error=f"{name} has the commands {', '.join(scripts)} and none is called like it" if scripts else f"{name} has no command to start")
target = f"/opt/server/bin/{chosen[0]}"
if not os.path.exists(target):
    say(error=f"{name} names the command {chosen[0]} and does not hold it")
mcp = found["mcp"].version if "mcp" in found else None
say(version=package.version, command=[target], mcp=mcp)
