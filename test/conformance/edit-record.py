"""Changes text in one record of a store under the store's own lock: edit-record.py JOBS_JSON JOB_ID FIELD JSON_TEXT [FIELD JSON_TEXT…]

The rest of the file keeps its bytes. A field may stand at any depth of the record; its first place counts.
"""

import fcntl
import os
import re
import sys
from pathlib import Path

store, job_id, changes = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
with open(store.parent / ".jobs.lock", "a+") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    text = store.read_text("utf-8")
    start = text.index(f'    {{\n      "id": "{job_id}"')
    end = text.index("\n    }", start)
    record = text[start:end]
    for field, value in zip(changes[::2], changes[1::2]):
        record, count = re.subn(rf'("{field}": )("(?:[^"\\]|\\.)*"|[^,\n]+)', lambda found: found[1] + value, record, count=1)
        if count == 0:
            sys.exit(f'Cannot edit job "{job_id}": it has no field "{field}"')
    whole = store.with_name(".edit.tmp")
    whole.write_text(text[:start] + record + text[end:], "utf-8")
    os.chmod(whole, 0o600)
    os.replace(whole, store)
