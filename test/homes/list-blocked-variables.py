"""Prints, as JSON, what the installed Hermes takes from a script's environment.

Run it with the interpreter of that installation and HERMES_HOME at an empty folder.
"""

import json

try:
    from tools.environments.local_env_policy import _HERMES_PROVIDER_ENV_BLOCKLIST as blocked
except ImportError:  # 0.19 and 0.20 keep it in the module itself
    from tools.environments.local import _HERMES_PROVIDER_ENV_BLOCKLIST as blocked

print(json.dumps(sorted(blocked)))
